#include "runtime/cgroups.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::runtime {
namespace {

/// Where hierarchies, v1 and v2, are mounted.
Result<std::vector<std::string>> hierarchies() {
  std::vector<std::string> found;
  for (const std::string& line : split(TRY(read_file("/proc/self/mountinfo")), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 7) continue;
    for (std::size_t i = 6; i + 1 < fields.size(); ++i)
      if (fields[i] == "-" && (fields[i + 1] == "cgroup" || fields[i + 1] == "cgroup2"))
        found.push_back(fields[4]);
  }
  return found;
}

}  // namespace

std::string cgroup_name(const std::string& id) { return "/locald-" + id; }

Result<void> remove_cgroups(const std::string& id) {
  for (const std::string& mount : TRY(hierarchies())) {
    const std::string path = mount + cgroup_name(id);
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

}  // namespace locald::runtime
