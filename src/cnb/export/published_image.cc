#include "cnb/export/published_image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/jobs.h"
#include "cnb/jobs.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/store/app_folder.h"
#include "oci/ref/reference.h"
#include "oci/spec/manifest.h"
#include "oci/spec/media_type.h"

namespace locald::cnb {
namespace {

constexpr const char* kOddExporter =
    "no exporter does that: take a builder with a lifecycle that you trust";
constexpr int kLayoutDepth = 8;          // blobs/sha256/ are two
constexpr std::size_t kDigestSize = 71;  // "sha256:" and 64 digits

Result<Json> label_of(const oci::ImageConfig& config, const char* name) {
  const auto found = config.labels.find(name);
  if (found == config.labels.end())
    return Error(Errc::invalid_input, std::string("the app's image has no label ") + name);
  // Keys of buildpacks' metadata may differ in case only.
  return Json::parse(found->second, {.reject_duplicates = false}).context(name);
}

/// In the bytes themselves, so that nothing else of the document changes and its digest is
/// what a lifecycle that knows the reference would have made.
void replace_reference(std::string& config, const std::string& reference) {
  constexpr std::string_view start = R"(\"reference\":\"/layout/)";
  for (std::size_t at = config.find(start); at != std::string::npos;
       at = config.find(start, at + 1)) {
    const std::size_t from = at + start.size() - std::string_view("/layout/").size();
    const std::size_t end = config.find("\\\"", from);
    if (end == std::string::npos || end - from <= kDigestSize) return;
    config.replace(from, end - from, reference);
  }
}

/// @param path  Of `dir`, for the message.
Result<void> check_plain(int dir, const std::string& path, int depth) {
  return list_dir(dir, [&](const std::string& name, unsigned char) -> Result<void> {
    const std::string at = path + "/" + name;
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, at);
    if (S_ISREG(st.st_mode)) return {};
    if (!S_ISDIR(st.st_mode) || depth == 0)
      return Error(Errc::corrupt, "the exporter left files that do not belong in an image: " + at +
                                      (S_ISLNK(st.st_mode) ? " is a symlink"
                                       : depth == 0        ? " lies too deep"
                                                           : " is neither a file nor a folder"))
          .with_hint(kOddExporter);
    const UniqueFd inner =
        TRY(sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).context(at));
    return check_plain(inner.get(), at, depth - 1);
  });
}

Process process_of(const Json& json) {
  Process p;
  p.type = json["type"].as_string();
  if (json["command"].is_string())
    p.command = {json["command"].as_string()};
  else
    p.command = json["command"].as_strings();
  p.args = json["args"].as_strings();
  p.has_args = json["args"].is_array();
  p.direct = json["direct"].as_bool();
  p.buildpack_id = json["buildpackID"].as_string();
  p.working_dir = json["working-dir"].as_string();
  p.exec_env = json["exec-env"].as_strings();
  return p;
}

}  // namespace

std::string app_image_name(const std::string& app) { return "locald.local/" + app + ":latest"; }

std::string published_reference(const std::string& image, const std::string& digest) {
  const auto reference = oci::ImageReference::parse(image);
  if (!reference || !reference->is_registry()) return image + "@" + digest;
  const std::string registry =
      reference->registry == "docker.io" ? "index.docker.io" : reference->registry;
  return registry + "/" + reference->repository + "@" + digest;
}

Result<oci::StoredImage> import_layout_image(builder::Environment& environment,
                                             const AppStore& store, const std::string& folder,
                                             const std::string& name,
                                             const std::string& run_reference,
                                             const builder::PrepareContext& context) {
  const CheckLayoutJob check{.app = {.top = store.dir()}, .folder = folder};
  TRY(environment.run(encode(check), {}, context.stop));
  const auto reference =
      TRY(oci::ImageReference::parse("oci:" + store.dir() + "/" + folder + ":latest"));
  const auto own_name = TRY(oci::ImageReference::parse(name));
  oci::ImageStore& images = *TRY(environment.images());
  // A worker reads them: they belong to the build user.
  builder::PullJob job;
  job.from.image = reference.name();
  job.policy = "always";
  TRY(environment.run(encode(job), {}, context.stop));
  const oci::StoredImage exported = TRY(images.find(reference));

  std::string config =
      TRY(images.layout().read_document(exported.config_digest, oci::kMaxManifestBytes));
  replace_reference(config, run_reference);
  const UniqueFd lease = TRY(images.layout().lease());
  TRY(images.tag(TRY(images.layout().add_image(config, exported.manifest.layers)).digest,
                 own_name));
  TRY(images.layout().change_index([&](std::vector<oci::Descriptor>& entries) -> Result<void> {
    std::erase_if(entries, [&](const oci::Descriptor& entry) {
      return entry.annotation(oci::kRefName) == reference.name();
    });
    return {};
  }));
  return images.find(own_name);
}

Result<Json> check_layout_job(const Json& json, const std::function<void(Json)>&) {
  const auto job = TRY(decode<CheckLayoutJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  const std::string& folder = job.folder;
  const auto dir = app.dir(folder);
  if (!dir)
    return Error(Errc::corrupt, "the exporter left no image: " + folder +
                                    " is not reached by folders alone (" + dir.error().message() +
                                    ")")
        .with_hint(kOddExporter);
  TRY(check_plain(dir->get(), folder, kLayoutDepth));
  return Json::object();
}

Result<void> read_published(const oci::ImageConfig& config, Generation& into) {
  const Json build = TRY(label_of(config, kBuildLabel));
  const Json lifecycle = TRY(label_of(config, kLifecycleLabel));
  into.processes.clear();
  for (const Json& process : build["processes"].as_array())
    if (is_process_type(process["type"].as_string()))  // another one cannot be started
      into.processes.push_back(process_of(process));
  into.default_process = build["buildpack-default-process-type"].as_string();
  into.buildpacks.clear();
  for (const Json& element : build["buildpacks"].as_array()) {
    GenerationBuildpack buildpack{.id = element["id"].as_string(),
                                  .version = element["version"].as_string(),
                                  .homepage = element["homepage"].as_string()};
    for (const Json& known : lifecycle["buildpacks"].as_array()) {
      if (known["key"].as_string() != buildpack.id) continue;
      for (const auto& [name, layer] : known["layers"].as_object())
        buildpack.layers.push_back({.name = name,
                                    .launch = layer["launch"].as_bool(),
                                    .build = layer["build"].as_bool(),
                                    .cache = layer["cache"].as_bool(),
                                    .data = layer["data"]});
      buildpack.store = known["store"]["metadata"];
      buildpack.has_store = known["store"].is_object();
    }
    into.buildpacks.push_back(std::move(buildpack));
  }
  into.launch_sbom = !lifecycle["sbom"]["sha"].as_string().empty();
  if (const auto project = label_of(config, kProjectLabel); project)
    into.project = (*project)["source"];
  return {};
}

}  // namespace locald::cnb
