#include "base/sys/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/sys/file_id.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"
#include "base/sys/sys.h"

namespace locald {

bool still_named(int fd, int dir_fd, const std::string& path) {
  const auto mine = FileId::of(fd);
  return mine && mine == FileId::of(dir_fd, path.c_str(), AT_SYMLINK_NOFOLLOW);
}

Result<UniqueFd> lock_at(int dir_fd, const std::string& path, bool wait, bool shared) {
  const int how = (shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
  while (true) {
    auto opened = sys::openat(dir_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st {};
    const int error = opened ? 0 : opened.error().sys_errno();
    // A folder, a link, a socket, a pipe: nobody holds that.
    if (error == EISDIR || error == ELOOP || error == ENXIO ||
        (opened && ::fstat(opened->get(), &st) == 0 && !S_ISREG(st.st_mode))) {
      (void)TRY(set_aside(dir_fd, path));
      continue;
    }
    UniqueFd fd = TRY(std::move(opened));
    while (::flock(fd.get(), how) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK)
        return Error(Errc::already_exists, path + " is locked by another process");
      return Error::from_errno(errno, "lock " + path);
    }
    // The file may have been removed, and another made, since it was opened: a lock of a file that
    // nobody else can find guards nothing.
    if (still_named(fd.get(), dir_fd, path)) return fd;
  }
}

Result<UniqueFd> lock_file(const std::string& path, bool wait) {
  return lock_at(AT_FDCWD, path, wait);
}

}  // namespace locald
