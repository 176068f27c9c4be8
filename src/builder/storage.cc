#include "builder/storage.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"
#include "builder/volumes.h"

namespace locald::builder {
namespace {

constexpr const char* kTrash = ".trash-";

/// Removes the entries of `folder` that `wanted` names, and what earlier removals left.
Result<void> remove_entries(Environment& environment, const std::string& folder,
                            const std::function<bool(const std::string&)>& wanted,
                            const std::stop_token& stop) {
  if (!exists(folder)) return {};
  const UniqueFd dir = TRY(sys::open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::vector<std::string> names, trash;
  TRY(list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (name.starts_with(kTrash))
      trash.push_back(name);
    else if (wanted(name))
      names.push_back(name);
    return {};
  }));
  for (const std::string& name : names) {
    const std::string away = kTrash + random_hex(8);
    if (::renameat(dir.get(), name.c_str(), dir.get(), away.c_str()) != 0) {
      if (errno == ENOENT) continue;
      return Error::from_errno(errno, "remove " + folder + "/" + name);
    }
    trash.push_back(away);
  }
  if (trash.empty()) return {};
  Json::Array paths;
  for (const std::string& name : trash) paths.push_back(folder + "/" + name);
  TRY(environment.run(Json::object({{"op", "remove_trees"}, {"paths", Json(std::move(paths))}}), {},
                      stop));
  return {};
}

}  // namespace

Result<void> remove_container(Environment& environment, const std::string& container_key,
                              const std::stop_token& stop) {
  return remove_entries(
             environment, environment.paths().containers(),
             [&](const std::string& name) { return name == container_key; }, stop)
      .context("remove container " + container_key);
}

Result<void> remove_volumes(Environment& environment, const std::string& project,
                            const std::stop_token& stop) {
  const std::string folder = environment.paths().volumes() + "/" + project;
  TRY(remove_entries(
          environment, folder, [](const std::string&) { return true; }, stop)
          .context("remove the volumes of " + project));
  return remove_tree(folder);  // empty now, and ours
}

Result<void> remove_anonymous_volumes(Environment& environment, const std::string& project,
                                      const std::string& container_key,
                                      const std::stop_token& stop) {
  return remove_entries(
             environment, environment.paths().volumes() + "/" + project,
             [&](const std::string& name) { return is_anonymous_volume(name, container_key); },
             stop)
      .context("remove the volumes of container " + container_key);
}

}  // namespace locald::builder
