#include "runtime/cgroups.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::runtime {
namespace {

struct Hierarchy {
  std::string mount;
  std::vector<std::string> controllers;  ///< of v1; empty: v2
};

/// Those that are mounted, v1 and v2.
Result<std::vector<Hierarchy>> hierarchies() {
  std::vector<Hierarchy> found;
  for (const std::string& line : split(TRY(read_file("/proc/self/mountinfo")), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 7) continue;
    for (std::size_t i = 6; i + 1 < fields.size(); ++i)
      if (fields[i] == "-" && fields[i + 1] == "cgroup2")
        found.push_back({fields[4], {}});
      else if (fields[i] == "-" && fields[i + 1] == "cgroup")
        found.push_back({fields[4], split(fields.back(), ',')});
  }
  return found;
}

}  // namespace

std::string cgroup_name(const std::string& id) { return "/locald-" + id; }

Result<void> remove_cgroups(const std::string& id) {
  for (const Hierarchy& hierarchy : TRY(hierarchies())) {
    const std::string path = hierarchy.mount + cgroup_name(id);
    int err = 0;
    for (int attempt = 0; attempt < 100; ++attempt) {
      err = ::rmdir(path.c_str()) == 0 ? 0 : errno;
      if (err != EBUSY) break;  // its last process is dead, the kernel is not done with it
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (err != 0 && err != ENOENT) return Error::from_errno(err, "remove the cgroup " + path);
  }
  return {};
}

std::string cgroup_file(const std::string& id, std::string_view controller, std::string_view name) {
  const auto all = hierarchies();
  for (const Hierarchy& hierarchy : all ? *all : std::vector<Hierarchy>()) {
    const auto& controllers = hierarchy.controllers;
    const bool meant = controller.empty() ? controllers.empty()
                                          : std::find(controllers.begin(), controllers.end(),
                                                      controller) != controllers.end();
    if (!meant) continue;
    const auto text = read_file(hierarchy.mount + cgroup_name(id) + "/" + std::string(name));
    return text ? *text : std::string();
  }
  return {};
}

}  // namespace locald::runtime
