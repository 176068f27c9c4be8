#include "cnb/build/commit_job.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/node/toml.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/tree_copy.h"
#include "builder/tree_view.h"
#include "cnb/build/unchanged.h"
#include "cnb/jobs.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/store/app_folder.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kMaxToml = 4u << 20;
constexpr const char* kMetadata = "build/layers/config/metadata.toml";
constexpr std::string_view kToml = ".toml";
constexpr const char* kLauncherFile = "cnb/lifecycle/launcher";  // of the builder
constexpr const char* kSbomEndings[] = {"sbom.cdx.json", "sbom.spdx.json", "sbom.syft.json"};

class Commit {
 public:
  static Result<Json> run(const Json& json) {
    CommitJob job = TRY(decode<CommitJob>(json));
    AppFolder app = TRY(AppFolder::open(job.app));
    Generation before;
    if (!job.before.is_null()) before = TRY(Generation::from_json(job.before));
    return Commit(std::move(app), std::move(job), std::move(before)).all();
  }

 private:
  Commit(AppFolder app, CommitJob job, Generation before)
      : app_(std::move(app)),
        job_(std::move(job)),
        before_(std::move(before)),
        mark_{job_.restored.stamp_ns, job_.restored.clock_ns},
        generation_("g/" + std::to_string(job_.number)),
        root_(generation_ + "/root") {}

  Result<Json> all() {
    TRY(check_folder("build/layers/config"));
    const BuildMetadata metadata = TRY(
        parse_build_metadata(TRY(app_.read_file(kMetadata, kMaxToml)
                                     .context("the buildpacks' processes and labels, together"))));
    TRY(app_.root_dir(generation_));
    TRY(app_.root_dir(root_));
    Generation g;
    for (const GroupElement& element : metadata.buildpacks)
      g.buildpacks.push_back(TRY(buildpack(element)));
    g.processes = metadata.processes;
    g.default_process = metadata.default_process;
    g.labels = metadata.labels;
    g.slices = metadata.slices;
    TRY(keep_root(g));
    return g.to_json();
  }

  static Error fault(const std::string& what) {
    return Error(Errc::invalid_input, what).with_hint("a buildpack is at fault");
  }

  /// Buildpacks may write everything below /layers, and so exchange it for something else.
  Result<void> check_folder(const std::string& path) const {
    struct stat st {};
    const auto above = app_.dir(parent_of(path));
    if (!above || ::fstatat(above->get(), name_of(path).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(st.st_mode))
      return fault(
          path.substr(std::string_view("build").size()) +
          (S_ISLNK(st.st_mode) ? " was replaced by a symlink" : " is not a folder any more"));
    return {};
  }

  /// What one buildpack left.
  Result<GenerationBuildpack> buildpack(const GroupElement& element) {
    GenerationBuildpack out{.id = element.id,
                            .version = element.version,
                            .api = element.api,
                            .homepage = element.homepage};
    const std::string folder = escape_id(element.id);
    const std::string path = "build/layers/" + folder;
    if (!app_.has(path)) return out;
    TRY(check_folder(path));
    std::set<std::string> names;  // of layers, in order
    std::set<std::string> with_content, files;
    const UniqueFd dir = TRY(app_.dir(path));
    TRY(list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
      struct stat st {};
      if (::fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return Error::from_errno(errno, path + "/" + name);
      const bool described = name.ends_with(kToml);
      if (described && !S_ISREG(st.st_mode))
        return fault(element.id + ": " + name + " is not a file");
      if (S_ISDIR(st.st_mode)) {
        with_content.insert(name);
        return {};
      }
      files.insert(name);
      const std::string layer = name.substr(0, name.size() - (described ? kToml.size() : 0));
      if (described && layer != "launch" && layer != "build" && layer != "store")
        names.insert(layer);
      return {};
    }));
    if (files.contains("store.toml")) {
      out.has_store = true;
      const Node store = TRY(parse_toml(TRY(app_.read_file(path + "/store.toml", kMaxToml)),
                                        element.id + ": store.toml"));
      out.store = TRY(store["metadata"].to_json().context(element.id + ": store.toml"));
    }
    for (const std::string& name : names) {
      const std::string what = element.id + ":" + name;
      const LayerToml toml =
          TRY(parse_layer_toml(TRY(app_.read_file(path + "/" + name + ".toml", kMaxToml)),
                               what + ": " + name + ".toml"));
      if (!toml.launch && !toml.cache) continue;  // for this build alone
      if (files.contains(name)) return fault("layer " + what + " is not a folder");
      GenerationLayer layer{.name = name,
                            .launch = toml.launch,
                            .build = toml.build,
                            .cache = toml.cache,
                            .data = TRY(toml.metadata.to_json().context(what))};
      if (with_content.contains(name))
        layer.tree = TRY(keep_content(folder, name).context(what));
      else if (toml.launch)
        layer.tree = TRY(used_again(element.id, layer, what));
      else
        continue;  // cached without content: there is nothing to cache
      out.layers.push_back(std::move(layer));
    }
    return out;
  }

  /// A launch layer that the buildpack left to us: the earlier one's content.
  Result<std::string> used_again(const std::string& id, const GenerationLayer& layer,
                                 const std::string& what) const {
    if (layer.cache) return fault("layer " + what + " is cache=true but has no contents");
    for (const GenerationBuildpack& b : before_.buildpacks)
      for (const GenerationLayer& earlier : b.layers)
        if (b.id == id && earlier.name == layer.name && earlier.launch) return earlier.tree;
    return Error(Errc::invalid_input, "layer " + what +
                                          " has no contents, and the build before had no such "
                                          "layer that could be used again")
        .with_hint("its buildpack is at fault; build without what is cached: locald cache rm");
  }

  Result<std::string> keep_content(const std::string& folder, const std::string& name) {
    const std::string path = "build/layers/" + folder + "/" + name;
    const std::map<std::string, std::string>& layers = job_.restored.layers;
    if (const auto restored = layers.find(folder + "/" + name); restored != layers.end()) {
      const std::string tree = restored->second;
      if (TRY(unchanged_since(mark_, app_, path)) && app_.has("t/" + tree)) {
        // Untouched, so it is still the copy that the next build will want.
        TRY(app_.remove("spare/t/" + tree));  // one that restoring did not want
        TRY(app_.root_dir("spare/t/" + tree + "/layers/" + folder));
        TRY(app_.move(path, "spare/t/" + tree + "/layers/" + folder + "/" + name));
        return tree;
      }
    }
    const std::string tree = random_hex(6);
    TRY(app_.root_dir("t"));
    TRY(app_.root_dir("t/" + tree));
    // As they are in the build: an image has them so, and a start sees them.
    TRY(same_folder("build/layers", "t/" + tree + "/layers"));
    TRY(same_folder("build/layers/" + folder, "t/" + tree + "/layers/" + folder));
    TRY(app_.move(path, "t/" + tree + "/layers/" + folder + "/" + name));
    return tree;
  }

  /// Makes the folder `to` with the owner and mode that `from` has.
  Result<void> same_folder(const std::string& from, const std::string& to) const {
    const UniqueFd source = TRY(app_.dir(from));
    struct stat st {};
    if (::fstat(source.get(), &st) != 0) return Error::from_errno(errno, from);
    const UniqueFd target = TRY(app_.root_dir(to));
    if (::fchown(target.get(), st.st_uid, st.st_gid) != 0)
      return Error::from_errno(errno, "chown " + to);
    if (::fchmod(target.get(), st.st_mode & 07777u) != 0)
      return Error::from_errno(errno, "chmod " + to);
    return {};
  }

  Result<void> keep_root(Generation& g) {
    TRY(app_.move("build/workspace", root_ + "/workspace"));
    TRY(same_folder("build/layers", root_ + "/layers"));
    TRY(app_.move("build/layers/config", root_ + "/layers/config"));
    TRY(from_builder());
    if (app_.has("build/layers/sbom/launch")) {
      TRY(same_folder("build/layers/sbom", root_ + "/layers/sbom"));
      TRY(app_.move("build/layers/sbom/launch", root_ + "/layers/sbom/launch"));
      g.launch_sbom = true;
    }
    if (app_.has("build/layers/sbom/cache")) {
      TRY(app_.move("build/layers/sbom/cache", generation_ + "/sbom-cache"));
      g.cache_sbom = true;
    }
    if (g.processes.empty()) return {};
    const UniqueFd processes = TRY(app_.root_dir(root_ + "/cnb/process"));
    for (const Process& process : g.processes)
      if (::symlinkat(kLauncher.data(), processes.get(), process.type.c_str()) != 0)
        return Error::from_errno(errno, "make the process type " + process.type);
    return {};
  }

  /// The launcher, and what the builder says of it (its SBOMs).
  Result<void> from_builder() {
    const builder::TreeView view = TRY(builder::TreeView::mount(
        {.lowers = job_.lowers, .lower_base = job_.lower_base, .upper = {}, .work = {}},
        job_.world.scratch, job_.world.id_map != "root"));
    TRY(app_.root_dir(root_ + "/cnb"));
    const UniqueFd to = TRY(app_.root_dir(root_ + "/cnb/lifecycle"));
    TRY(copy_out(view.root(), kLauncherFile, to.get(), "launcher", 0755));
    for (const char* ending : kSbomEndings) {
      const std::string from = "cnb/lifecycle/launcher." + std::string(ending);
      const auto there = open_in_root(view.root(), from, O_PATH);
      if (!there) continue;
      const std::string folder = "build/layers/sbom/launch/buildpacksio_lifecycle/launcher";
      const UniqueFd target = TRY(app_.own_dir(folder));
      TRY(app_.remove(folder + "/" + ending));
      TRY(copy_out(view.root(), from, target.get(), ending, 0644));
      if (::fchownat(target.get(), ending, app_.uid(), app_.gid(), AT_SYMLINK_NOFOLLOW) != 0)
        return Error::from_errno(errno, "chown " + from);
    }
    return {};
  }

  static Result<void> copy_out(int root, const std::string& from, int to, const std::string& name,
                               mode_t mode) {
    const auto in = open_in_root(root, from, O_RDONLY | O_NONBLOCK);
    if (!in)
      return Error(Errc::invalid_input, "the builder has no /" + from + ": " + in.error().message())
          .with_hint("take a whole builder, as `pack builder create` makes it");
    struct stat st {};
    if (::fstat(in->get(), &st) != 0 || !S_ISREG(st.st_mode))
      return Error(Errc::invalid_input, "the builder's /" + from + " is not a file");
    const UniqueFd out = TRY(sys::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    TRY(builder::copy_bytes(in->get(), out.get(), st.st_size).context("copy /" + from));
    if (::fchmod(out.get(), mode) != 0) return Error::from_errno(errno, "chmod " + name);
    return {};
  }

  AppFolder app_;
  const CommitJob job_;
  const Generation before_;
  const ChangeMark mark_;
  const std::string generation_, root_;
};

}  // namespace

Result<Json> commit_job(const Json& job, const std::function<void(Json)>&) {
  return Commit::run(job);
}

Result<void> take_commit(const Json& committed, Generation& generation) {
  Generation made = TRY(Generation::from_json(committed));
  generation.buildpacks = std::move(made.buildpacks);
  generation.processes = std::move(made.processes);
  generation.default_process = std::move(made.default_process);
  generation.labels = std::move(made.labels);
  generation.slices = std::move(made.slices);
  generation.launch_sbom = made.launch_sbom;
  generation.cache_sbom = made.cache_sbom;
  return {};
}

}  // namespace locald::cnb
