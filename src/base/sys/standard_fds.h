#pragma once
#include <fcntl.h>

namespace locald {

/// Opens /dev/null where one of the descriptors 0, 1 and 2 is closed, as a program's parent may
/// have left them: else the next socket takes that number, and what is meant for a terminal goes
/// into it. The first thing in every main(). Shim-safe.
inline void fill_standard_fds() noexcept {
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // Gets the lowest free number, which is `fd`. Children are to have it too: no O_CLOEXEC.
    if (::open("/dev/null", O_RDWR) < 0) (void)::open("/", O_PATH | O_DIRECTORY);
  }
}

}  // namespace locald
