#include "cnb/export/launcher_facts.h"

#include <chrono>
#include <mutex>
#include <utility>

#include "base/sys/fs_at.h"
#include "builder/image_source.h"
#include "cnb/build/housekeeping.h"
#include "cnb/build/phase_runner.h"
#include "cnb/inputs/builder_info.h"
#include "cnb/jobs.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/store/app_folder.h"
#include "oci/layer/layer_store.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"

namespace locald::cnb {
namespace {

constexpr int kFactsFormat = 1;
constexpr std::chrono::milliseconds kLimit{60'000};
// Inside of the layout folder.
constexpr const char* kRunFolder = "run";
constexpr const char* kImageName = "locald.local/facts:latest";
constexpr const char* kImageFolder = "layout/locald.local/facts/latest";
constexpr std::size_t kMaxConfig = 4u << 20;

std::string sha(const std::string& text) { return oci::Digest::of(text).str(); }

/// A run image of which there are but the documents.
struct EmptyRunImage {
  std::string config, manifest;
};

EmptyRunImage empty_run_image(const oci::Platform& platform) {
  Json config = platform.to_json();
  config.set("config", Json::object());
  config.set("rootfs",
             Json::object({{"type", "layers"}, {"diff_ids", Json::array({sha("content")})}}));
  EmptyRunImage out;
  out.config = config.dump();
  out.manifest =
      Json::object({{"schemaVersion", 2},
                    {"mediaType", oci::kOciManifest},
                    {"config", Json::object({{"mediaType", oci::kOciConfig},
                                             {"digest", sha(out.config)},
                                             {"size", out.config.size()}})},
                    {"layers", Json::array({Json::object({{"mediaType", oci::kOciLayerGzip},
                                                          {"digest", sha("compressed content")},
                                                          {"size", 1}})})}})
          .dump();
  return out;
}

/// All that the exporter reads.
std::vector<JobFile> files_for(const oci::StoredImage& builder) {
  const EmptyRunImage run = empty_run_image(builder.config.platform);
  const std::string layout = std::string("layout/") + kRunFolder + "/";
  const std::string inside = "/" + layout.substr(0, layout.size() - 1);
  const std::string index =
      Json::object({{"schemaVersion", 2},
                    {"mediaType", oci::kOciIndex},
                    {"manifests", Json::array({Json::object({{"mediaType", oci::kOciManifest},
                                                             {"digest", sha(run.manifest)},
                                                             {"size", run.manifest.size()}})})}})
          .dump();
  const std::string analyzed = "[run-image]\nreference = \"" + inside + "@" + sha(run.manifest) +
                               "\"\nimage = \"" + inside + "\"\n";
  std::vector<JobFile> files;
  const auto add = [&](const std::string& path, const std::string& text) {
    files.push_back({path, text});
  };
  add(layout + "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  add(layout + "index.json", index);
  add(layout + "blobs/sha256/" + oci::Digest::of(run.config).hex(), run.config);
  add(layout + "blobs/sha256/" + oci::Digest::of(run.manifest).hex(), run.manifest);
  add("layers/analyzed.toml", analyzed);
  add("layers/run.toml", run_toml({{.image = inside, .mirrors = {}}}));
  add("layers/group.toml", "");
  add("layers/config/metadata.toml", "");
  return files;
}

Result<LauncherFacts> read_facts(const std::string& config) {
  const Json document = TRY(oci::parse_image_json(config));
  const Json label =
      TRY(Json::parse(document["config"]["Labels"]["io.buildpacks.build.metadata"].as_string())
              .context("what the exporter says of itself"));
  const Json& launcher = label["launcher"];
  return LauncherFacts{.version = TRY(launcher.get_string("version")),
                       .repository = launcher["source"]["git"]["repository"].as_string(),
                       .commit = launcher["source"]["git"]["commit"].as_string()};
}

/// Lets the exporter export nothing in the new folder `top`.
Result<std::string> export_nothing(builder::Environment& environment,
                                   const oci::StoredImage& builder, const BuilderInfo& info,
                                   const std::string& top, const builder::PrepareContext& context) {
  TRY(make_dirs(top));
  TRY(make_dirs(top + "/log"));
  const bool single = TRY(environment.host()).id_map == runtime::IdMapKind::single;
  const JobApp app{.top = top, .uid = single ? 0 : info.uid, .gid = single ? 0 : info.gid};
  const FilesJob make{.app = app,
                      .make = {.folders = {"layers", "layers/config", "layout", "workspace", "tmp"},
                               .files = files_for(builder)}};
  TRY(environment.run(encode(make), {}, context.stop));
  std::vector<builder::VolumeMount> mounts;
  for (const char* name : {"layers", "layout", "workspace", "tmp"})
    mounts.push_back({.kind = builder::VolumeMount::Kind::own,
                      .source = top + "/" + name,
                      .target = std::string("/") + name});
  PhaseRunner runner(
      {.environment = environment,
       .app = "facts",
       .lowers = TRY(builder::image_lowers(environment, builder.diff_ids)),
       .lower_base = TRY(environment.layers())->dir(),
       .image = builder.config,
       .facts_file = environment.paths().facts() + "/" + builder.manifest_digest.hex(),
       .uid = info.uid,
       .gid = info.gid,
       .env = {{"CNB_PLATFORM_API", info.platform_api.str()},
               {"CNB_EXPERIMENTAL_MODE", "warn"},
               {"CNB_NO_COLOR", "true"},
               {"CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AMAZON", "true"},
               {"CNB_REGISTRY_AUTH_KEYCHAIN_SKIP_AZURE", "true"}},
       .mounts = std::move(mounts),
       .log_dir = top + "/log",
       .stop = context.stop,
       .deadline = std::chrono::steady_clock::now() + kLimit,
       .limit = kLimit});
  std::string said;
  const auto ran =
      runner.run(Phase::export_,
                 {"-app", "/workspace", "-layers", "/layers", "-layout", "-layout-dir", "/layout",
                  "-run", "/layers/run.toml", "-report", "/layers/report.toml", "-uid",
                  std::to_string(info.uid), "-gid", std::to_string(info.gid), kImageName},
                 {}, [&](const PhaseLine& line) { said = line.text; });
  if (!ran) return Error(ran.error()).with_context(said);
  const LayoutConfigJob read{.app = app, .folder = kImageFolder};
  return TRY(decode<LayoutConfigResult>(TRY(environment.run(encode(read), {}, context.stop))))
      .config;
}

}  // namespace

Result<LauncherFacts> launcher_facts(builder::Environment& environment,
                                     const oci::StoredImage& builder,
                                     const builder::PrepareContext& context) {
  const std::string folder = environment.paths().lifecycle_facts();
  const std::string file = folder + "/" + builder.manifest_digest.hex() + ".json";
  const auto mutex = environment.lock_for("lifecycle/" + builder.manifest_digest.hex());
  const std::lock_guard lock(*mutex);
  if (const auto text = read_file(file); text)
    if (const auto json = Json::parse(*text); json && (*json)["format"].as_int() == kFactsFormat)
      return LauncherFacts{.version = (*json)["version"].as_string(),
                           .repository = (*json)["repository"].as_string(),
                           .commit = (*json)["commit"].as_string()};
  const BuilderInfo info = TRY(BuilderInfo::from_image(builder.name, builder.config));
  const std::string top = folder + "/" + builder.manifest_digest.short_hex();
  TRY(discard(environment, top));  // what a crash has left
  const auto config = export_nothing(environment, builder, info, top, context);
  TRY(discard(environment, top));
  TRY(builder::sweep_discarded(environment, context.stop));
  const LauncherFacts facts = TRY(read_facts(TRY(Result<std::string>(config))));
  TRY(write_file_atomic(file, Json::object({{"format", kFactsFormat},
                                            {"version", facts.version},
                                            {"repository", facts.repository},
                                            {"commit", facts.commit}})
                                  .dump()));
  return facts;
}

Result<Json> layout_config_job(const Json& json, const std::function<void(Json)>&) {
  const auto job = TRY(decode<LayoutConfigJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  const std::string& folder = job.folder;
  const auto document = [&](const Json& descriptor) -> Result<std::string> {
    const oci::Digest digest = TRY(oci::Digest::parse(TRY(descriptor.get_string("digest"))));
    return app.read_file(folder + "/blobs/sha256/" + digest.hex(), kMaxConfig);
  };
  const Json index =
      TRY(oci::parse_image_json(TRY(app.read_file(folder + "/index.json", kMaxConfig))));
  if (index["manifests"].as_array().size() != 1)
    return Error(Errc::invalid_input, "the exporter left no image");
  const Json manifest = TRY(oci::parse_image_json(TRY(document(index["manifests"].as_array()[0]))));
  return encode(LayoutConfigResult{TRY(document(manifest["config"]))});
}

}  // namespace locald::cnb
