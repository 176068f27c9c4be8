#include "cnb/build/restore_job.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/tree_copy.h"
#include "cnb/build/restore_plan.h"
#include "cnb/build/unchanged.h"
#include "cnb/jobs.h"
#include "cnb/store/app_folder.h"
#include "cnb/store/generation.h"

namespace locald::cnb {
namespace {

constexpr std::size_t kMaxGroupToml = 4u << 20;
constexpr std::size_t kMaxSbom = 256u << 20;

bool is_folder(const AppFolder& app, const std::string& path) {
  return static_cast<bool>(app.dir(path));
}

/// The content of `layer`, from its spare copy or from the tree itself.
Result<void> give_content(const AppFolder& app, const RestoredLayer& layer) {
  const std::string inside = "/layers/" + layer.buildpack + "/" + layer.name;
  const std::string target = "build/layers/" + layer.buildpack + "/" + layer.name;
  const std::string spare = "spare/t/" + layer.tree;
  if (is_folder(app, spare + inside)) {
    TRY(app.move(spare + inside, target));
    return app.remove(spare);
  }
  const UniqueFd from = TRY(app.dir("t/" + layer.tree + "/layers/" + layer.buildpack));
  const UniqueFd to = TRY(app.dir("build/layers/" + layer.buildpack));
  TRY(builder::copy_tree(from.get(), layer.name, to.get(), layer.name));
  return {};
}

std::vector<std::string> names_inside(const AppFolder& app, const std::string& path) {
  std::vector<std::string> names;
  const auto dir = app.dir(path);
  if (dir)
    (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
      names.push_back(name);
      return {};
    });
  std::sort(names.begin(), names.end());
  return names;
}

/// sbom/<buildpack>/<layer>/sbom.… of the earlier build becomes <buildpack>/<layer>.sbom.….
Result<void> restore_sboms(const AppFolder& app, const std::string& sboms,
                           const std::vector<GroupElement>& group) {
  for (const std::string& buildpack : names_inside(app, sboms)) {
    const bool in_group = std::any_of(group.begin(), group.end(), [&](const GroupElement& e) {
      return escape_id(e.id) == buildpack;
    });
    if (!in_group || !app.has("build/layers/" + buildpack)) continue;
    for (const std::string& layer : names_inside(app, sboms + "/" + buildpack)) {
      const std::string folder = sboms + "/" + buildpack + "/" + layer;
      for (const std::string& file : names_inside(app, folder))
        if (file.starts_with("sbom") && file.ends_with("json"))
          TRY(app.own_file("build/layers/" + buildpack + "/" + layer + "." + file,
                           TRY(app.read_file(folder + "/" + file, kMaxSbom))));
    }
  }
  return {};
}

}  // namespace

Result<Json> restore_job(const Json& json, const std::function<void(Json)>&) {
  const RestoreJob job = TRY(decode<RestoreJob>(json));
  const AppFolder app = TRY(AppFolder::open(job.app));
  const std::vector<GroupElement> group =
      TRY(parse_group(TRY(app.read_file("build/layers/group.toml", kMaxGroupToml))));
  RestoreResult out;
  if (!job.before.is_null()) {
    const Generation before = TRY(Generation::from_json(job.before));
    const RestorePlan plan = TRY(plan_restore(before, group));
    for (const auto& [folder, text] : plan.stores)
      TRY(app.own_file("build/layers/" + folder + "/store.toml", text));
    for (const RestoredLayer& layer : plan.layers) {
      const std::string folder = "build/layers/" + layer.buildpack;
      TRY(app.own_dir(folder));
      if (!layer.tree.empty()) {
        // A tree that is damaged, or that cannot be copied, costs its layer, not the build: it is
        // made again.
        if (!is_folder(app, "t/" + layer.tree + "/layers/" + layer.buildpack + "/" + layer.name))
          continue;
        if (auto given = give_content(app, layer); !given) {
          if (given.error().code() == Errc::no_space) return std::move(given).error();
          TRY(app.remove(folder + "/" + layer.name));
          continue;
        }
        out.layers[layer.buildpack + "/" + layer.name] = layer.tree;
      }
      TRY(app.own_file(folder + "/" + layer.name + ".toml", layer.toml));
    }
    // Where the build left them: a rebased generation has the root of another.
    const std::string built = "g/" + std::to_string(before.root);
    TRY(restore_sboms(app, built + "/sbom-cache", group));
    TRY(restore_sboms(app, built + "/root/layers/sbom/launch", group));
  }
  const ChangeMark mark = TRY(mark_now(app));
  out.stamp_ns = mark.stamp_ns;
  out.clock_ns = mark.clock_ns;
  return encode(out);
}

}  // namespace locald::cnb
