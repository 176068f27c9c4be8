#include "builder/storage.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/transient.h"
#include "builder/assembly.h"
#include "builder/jobs.h"
#include "builder/volumes.h"

namespace locald::builder {
namespace {

constexpr const char* kTrash = ".trash-";
// A worker that is killed (for want of memory, it may be) leaves a part of what it was to remove,
// and nobody may come by here again for long.
constexpr int kAttempts = 6;
constexpr std::chrono::milliseconds kPause{20};

Result<void> remove_trees(Environment& environment, std::vector<std::string> paths,
                          const std::stop_token& stop) {
  const Json job = encode(RemoveTreesJob{.paths = std::move(paths)});
  for (int attempt = 1;; ++attempt) {
    const auto removed = environment.run(job, {}, stop);
    if (removed) return {};
    const Error& why = removed.error();
    if ((says_something(why) && !may_pass(why)) || attempt == kAttempts || stop.stop_requested())
      return why;
    std::this_thread::sleep_for(kPause);
  }
}

/// Renames the entries of `folder` that `wanted` names to trash.
Result<void> discard(const std::string& folder,
                     const std::function<bool(const std::string&)>& wanted) {
  if (!exists(folder)) return {};
  const UniqueFd dir = TRY(sys::open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::vector<std::string> names;
  TRY(list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (!name.starts_with(kTrash) && wanted(name)) names.push_back(name);
    return {};
  }));
  for (const std::string& name : names) {
    const std::string away = kTrash + random_hex(8);
    if (::renameat(dir.get(), name.c_str(), dir.get(), away.c_str()) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "remove " + folder + "/" + name);
  }
  return {};
}

/// Adds the trash in `folder` to `paths`.
Result<void> find_trash(const std::string& folder, std::vector<std::string>& paths) {
  if (!exists(folder)) return {};
  const UniqueFd dir = TRY(sys::open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (name.starts_with(kTrash)) paths.push_back(folder + "/" + name);
    return {};
  });
}

}  // namespace

Result<std::vector<std::string>> container_stamps(const Paths& paths) {
  std::vector<std::string> stamps;
  const auto dir = sys::open(paths.containers(), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() == Errc::not_found) return stamps;
  if (!dir) return dir.error();
  TRY(list_dir(dir->get(), [&](const std::string& key, unsigned char) -> Result<void> {
    if (key.starts_with('.')) return {};
    auto stamp = read_file(paths.container(key) + "/" + std::string(kImageStamp), 4096);
    if (!stamp && !says_something(stamp.error())) return std::move(stamp).error();
    if (stamp && !stamp->empty()) stamps.push_back(std::move(*stamp));
    return {};
  }));
  return stamps;
}

std::string container_stamp(const Paths& paths, const std::string& container_key) {
  return read_file(paths.container(container_key) + "/" + std::string(kImageStamp), 4096)
      .value_or("");
}

Result<void> discard_container(Environment& environment, const std::string& container_key) {
  return discard(environment.paths().containers(),
                 [&](const std::string& name) { return name == container_key; })
      .context("remove container " + container_key);
}

Result<void> sweep_discarded(Environment& environment, const std::stop_token& stop) {
  // The second caller finds that the first did it all.
  const auto mutex = environment.lock_for("sweep");
  const std::lock_guard lock(*mutex);
  std::vector<std::string> paths;
  TRY(find_trash(environment.paths().containers(), paths));
  TRY(find_trash(environment.paths().cnb(), paths));
  std::vector<std::string> projects;
  const std::string volumes = environment.paths().volumes();
  if (exists(volumes)) {
    const UniqueFd dir = TRY(sys::open(volumes, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
      projects.push_back(name);
      return {};
    }));
  }
  for (const std::string& project : projects) TRY(find_trash(volumes + "/" + project, paths));
  if (!paths.empty()) TRY(remove_trees(environment, std::move(paths), stop));
  for (const std::string& project : projects)
    (void)::rmdir((volumes + "/" + project).c_str());  // where it is empty
  return {};
}

Result<void> remove_container(Environment& environment, const std::string& container_key,
                              const std::stop_token& stop) {
  TRY(discard_container(environment, container_key));
  return sweep_discarded(environment, stop).context("remove container " + container_key);
}

Result<void> remove_volumes(Environment& environment, const std::string& project,
                            const std::stop_token& stop) {
  TRY(discard(environment.paths().volumes() + "/" + project, [](const std::string&) {
        return true;
      }).context("remove the volumes of " + project));
  return sweep_discarded(environment, stop).context("remove the volumes of " + project);
}

Result<void> discard_anonymous_volumes(Environment& environment, const std::string& project,
                                       const std::string& container_key) {
  return discard(environment.paths().volumes() + "/" + project,
                 [&](const std::string& name) { return is_anonymous_volume(name, container_key); })
      .context("remove the volumes of container " + container_key);
}

Result<void> remove_project_data(Environment& environment, const std::string& project, bool volumes,
                                 const std::stop_token& stop) {
  std::vector<std::string> keys;
  auto dir = sys::open(environment.paths().containers(), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() != Errc::not_found) return std::move(dir).error();
  if (dir)
    TRY(list_dir(dir->get(), [&](const std::string& key, unsigned char) -> Result<void> {
      // Names hold no dots (container_key).
      if (key.starts_with(project + ".")) keys.push_back(key);
      return {};
    }));
  for (const std::string& key : keys) TRY(discard_container(environment, key));
  TRY(sweep_discarded(environment, stop));  // one worker for all
  if (volumes) TRY(remove_volumes(environment, project, stop));
  return {};
}

}  // namespace locald::builder
