#include "base/sys/set_aside.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

namespace locald {

Result<std::string> set_aside(int dir_fd, const std::string& path) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string base = path + ".corrupt-" + std::to_string(now);
  for (int n = 1; n < 1000; ++n) {
    const std::string other = n == 1 ? base : base + "-" + std::to_string(n);
    if (::renameat2(dir_fd, path.c_str(), dir_fd, other.c_str(), RENAME_NOREPLACE) == 0)
      return other;
    if (errno == ENOENT) return std::string();
    if (errno != EEXIST) break;
  }
  return Error::from_errno(errno, "set " + path + " aside");
}

}  // namespace locald
