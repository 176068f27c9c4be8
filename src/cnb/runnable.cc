#include "cnb/runnable.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/units.h"
#include "builder/image_source.h"
#include "builder/jobs.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "oci/layer/layer_store.h"
#include "oci/spec/manifest.h"
#include "runtime/processes.h"

namespace locald::cnb {
namespace {

/// DATA/layers as DATA/cnb/<app> sees it.
constexpr const char* kLayersFromApp = "../../layers/";

/// Sets `name`, where it stands already, or at the end.
void set_variable(std::vector<std::string>& env, const std::string& name,
                  const std::string& value) {
  for (std::string& pair : env)
    if (pair.starts_with(name + "=")) {
      pair = name + "=" + value;
      return;
    }
  env.push_back(name + "=" + value);
}

/// Of one overlay; the kernel's limit is 500 (its OVL_MAX_STACK), and a TreeView adds one.
constexpr std::size_t kMaxLowers = 499;
/// What a container's two folders have in the options of a mount, at most: a key's length.
constexpr std::size_t kContainerName = 255;
/// Options of a mount below that are less than a page, whatever else is in them.
constexpr std::size_t kSurelyFits = 4096 - 256;

/// Something of that kind, for all that may be seen of it.
bool is_there(const std::string& path, mode_t kind) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return errno == EACCES;
  return (st.st_mode & S_IFMT) == kind;
}

std::string variable(const std::vector<std::string>& env, const std::string& name) {
  for (const std::string& pair : env)
    if (pair.starts_with(name + "=")) return pair.substr(name.size() + 1);
  return {};
}

}  // namespace

Result<Json> config_document(const oci::ImageStore& images, const oci::StoredImage& image) {
  return oci::parse_image_json(
      TRY(images.layout().read_document(image.config_digest, oci::kMaxManifestBytes)));
}

oci::ImageConfig app_config(const oci::ImageConfig& run, const Generation& generation) {
  oci::ImageConfig config = run;
  set_variable(config.env, "CNB_LAYERS_DIR", "/layers");
  set_variable(config.env, "CNB_APP_DIR", "/workspace");
  set_variable(config.env, "CNB_PLATFORM_API", generation.platform_api);
  set_variable(config.env, "CNB_DEPRECATION_MODE", "quiet");
  set_variable(config.env, "PATH", "/cnb/process:/cnb/lifecycle:" + variable(run.env, "PATH"));
  config.working_dir = "/workspace";
  config.cmd.clear();
  config.entrypoint = {generation.default_process.empty()
                           ? std::string(kLauncher)
                           : "/cnb/process/" + generation.default_process};
  return config;
}

Result<Runnable> runnable(builder::Environment& environment, const AppStore& store,
                          const Generation& generation) {
  const oci::ImageConfig base = TRY(oci::ImageConfig::parse(generation.base_config.dump()));
  Runnable out;
  const auto check = [&](const std::string& path, mode_t kind) -> Result<void> {
    if (!is_there(store.dir() + "/" + path, kind))
      return Error(Errc::not_found, "a part of the built app is gone: " + path)
          .with_hint("build it again: locald build");
    return {};
  };
  const auto add = [&](const std::string& path, const std::string& inner) -> Result<void> {
    TRY(check(path + inner, S_IFDIR));
    out.lowers.push_back(path);
    return {};
  };
  if (generation.strict()) {
    out.config = base;
  } else {
    const std::string root = "g/" + std::to_string(generation.root) + "/root";
    TRY(add(root, "/workspace"));
    TRY(check(root + "/layers/config/metadata.toml", S_IFREG));
    TRY(check(root + std::string(kLauncher), S_IFREG));
    for (const GenerationBuildpack& buildpack : generation.buildpacks)
      for (const GenerationLayer& layer : buildpack.layers)
        if (layer.launch)
          TRY(add("t/" + layer.tree, "/layers/" + escape_id(buildpack.id) + "/" + layer.name));
    out.config = app_config(base, generation);
  }
  const std::string layers = TRY(environment.layers())->dir();
  out.lower_base = generation.strict() ? layers : store.dir();
  for (const std::string& below : TRY(builder::image_lowers(environment, base.diff_ids)))
    out.lowers.push_back((generation.strict() ? "" : kLayersFromApp) + below);
  out.facts_file = store.facts(generation.number);
  out.stamp = store.stamp(generation).str();
  return out;
}

Result<void> check_lowers(builder::Environment& environment, const Runnable& app,
                          const std::stop_token& stop) {
  const std::size_t count = app.lowers.size();
  const auto too_many = [&](const std::string& limit) {
    return Error(Errc::unsupported, "the app has " + std::to_string(count) +
                                        " layers, its run image's among them: " + limit)
        .with_hint("let its buildpacks make fewer launch layers, each with more in it");
  };
  if (count > kMaxLowers)
    return too_many("the kernel mounts at most " + std::to_string(kMaxLowers) + " at once");
  const std::size_t room =
      2 * environment.paths().container(std::string(kContainerName, 'x')).size();
  std::size_t size = room;
  for (const std::string& lower : app.lowers) size += lower.size() + 1;
  if (size < kSurelyFits) return {};
  // Whether this kernel takes more than a page it alone knows.
  builder::FactsJob job;
  job.lowers = app.lowers;
  job.lower_base = app.lower_base;
  job.room = room;
  const auto mounted = environment.run(encode(job), {}, stop);
  if (mounted) return {};
  if (mounted.error().code() == Errc::cancelled) return mounted.error();
  return too_many("this kernel does not mount as many at once (" + mounted.error().message() +
                  "; Linux 6.8 and newer mount up to " + std::to_string(kMaxLowers) + ")");
}

Result<Generation> rebase_generation(builder::Environment& environment, const AppStore& store,
                                     const BuildInputs& inputs, const Generation& from,
                                     const builder::PrepareContext&) {
  const oci::ImageConfig before = TRY(oci::ImageConfig::parse(from.base_config.dump()));
  const oci::ImageConfig& now = inputs.run.config;
  const auto label = [](const oci::ImageConfig& config, const char* name) {
    const auto found = config.labels.find(name);
    return found == config.labels.end() ? std::string() : found->second;
  };
  if (label(now, "io.buildpacks.rebasable") == "false" || before.platform != now.platform)
    return Error(Errc::unsupported, "the run image may not be exchanged");
  for (const char* name : {"io.buildpacks.base.id", "io.buildpacks.base.distro.name",
                           "io.buildpacks.base.distro.version"})
    if (label(before, name) != label(now, name))
      return Error(Errc::unsupported, "the run image is of another kind");
  Generation g = from;
  g.number = store.next_number();
  g.built_at = now_text();
  g.boot_id = runtime::boot_id();
  g.run_image = inputs.run_names.image;
  g.run_image_digest = inputs.run.manifest_digest.str();
  g.run_mirrors = inputs.run_names.mirrors;
  g.base_config = TRY(config_document(*TRY(environment.images()), inputs.run));
  g.times = {};
  return g;
}

}  // namespace locald::cnb
