#include "base/sys/fs_at.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Result<Dir> open_dir(int dir_fd) {
  // A descriptor of its own: reading moves the position that dup(2) would share.
  UniqueFd own = TRY(sys::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY));
  Dir dir(::fdopendir(own.get()));
  if (!dir) return Error::from_errno(errno, "fdopendir");
  (void)own.release();
  return dir;
}

bool is_dot(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

constexpr std::size_t kOpenLevels = 128;  // of remove_tree, two descriptors each

/// One folder on the way down in remove_tree.
struct Level {
  UniqueFd fd;
  Dir dir;
  std::string name;  // in the level above
};

}  // namespace

Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (fd) return fd;
    if (errno == EINTR || (errno == EAGAIN && tries < 128)) continue;
    return Error::from_errno(errno, "open " + path);
  }
}

Result<UniqueFd> make_dirs(const std::string& path, mode_t mode) {
  if (auto there = sys::open(path, O_RDONLY | O_DIRECTORY)) return there;
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    TRY(sys::mkdirat(AT_FDCWD, path.substr(0, slash), mode));
  TRY(sys::mkdirat(AT_FDCWD, path, mode));
  return sys::open(path, O_RDONLY | O_DIRECTORY);
}

Result<std::string> read_all(int fd, std::size_t max_bytes) {
  std::string out;
  struct stat st {};
  if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
      static_cast<std::size_t>(st.st_size) <= max_bytes)
    out.reserve(static_cast<std::size_t>(st.st_size) + 1);
  std::size_t used = 0;
  while (true) {
    out.resize(std::max<std::size_t>(out.capacity(), used + 4096));
    const std::size_t n = TRY(sys::read_some(fd, out.data() + used, out.size() - used));
    used += n;
    if (used > max_bytes) return Error(Errc::invalid_input, "more than " + human_bytes(max_bytes));
    if (n == 0) break;
  }
  out.resize(used);
  return out;
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  // A pipe that nobody writes to is empty, not waited for.
  const UniqueFd fd = TRY(sys::open(path, O_RDONLY | O_NONBLOCK));
  TRY(sys::set_nonblocking(fd.get(), false));
  return read_all(fd.get(), max_bytes).context("read " + path);
}

Result<void> write_file_atomic(int dir_fd, const std::string& name, std::string_view content,
                               mode_t mode, Durability durability) {
  const std::string temporary = "." + name + "." + random_hex(4);
  auto write = [&]() -> Result<void> {
    UniqueFd fd =
        TRY(sys::openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    TRY(sys::write_all(fd.get(), content));
    if (durability == Durability::synced && ::fsync(fd.get()) != 0)
      return Error::from_errno(errno, "fsync " + name);
    // Where a file system tells of a failed write only now (NFS), the old file is to stand.
    if (::close(fd.release()) != 0 && errno != EINTR)
      return Error::from_errno(errno, "close " + name);
    if (::renameat(dir_fd, temporary.c_str(), dir_fd, name.c_str()) != 0)
      return Error::from_errno(errno, "rename " + name);
    return {};
  };
  if (auto written = write(); !written) {
    ::unlinkat(dir_fd, temporary.c_str(), 0);
    return std::move(written).context("write " + name);
  }
  return durability == Durability::synced ? sync_dir(dir_fd) : Result<void>();
}

Result<void> write_file_atomic(const std::string& path, std::string_view content, mode_t mode,
                               Durability durability) {
  const auto slash = path.rfind('/');
  const std::string dir =
      slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  const UniqueFd dir_fd = TRY(sys::open(dir, O_RDONLY | O_DIRECTORY));
  auto written =
      write_file_atomic(dir_fd.get(), path.substr(slash == std::string::npos ? 0 : slash + 1),
                        content, mode, durability);
  if (!written && written.error().code() == Errc::no_space)
    return std::move(written).hint("make room there: df -h " + dir);
  return written;
}

Result<void> remove_tree(int dir_fd, const std::string& name) {
  if (::unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM && errno != EACCES)
    return Error::from_errno(errno, "remove " + name);

  struct stat top {};
  if (::fstatat(dir_fd, name.c_str(), &top, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Result<void>() : Error::from_errno(errno, "stat " + name);
  if (!S_ISDIR(top.st_mode)) return Error(Errc::denied, "remove " + name + ": Permission denied");

  std::optional<Error> first;
  auto note = [&first](Error e) {
    if (e.sys_errno() == ENOENT) return;  // somebody else has removed it
    if (!first) first = std::move(e);
  };
  std::vector<Level> levels;
  // Iterative, since an image's folders may be deeper than a thread's stack.
  auto enter = [&](int parent, const std::string& child) -> bool {
    auto fd = sys::openat(parent, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd && fd.error().sys_errno() == EACCES && ::fchmodat(parent, child.c_str(), 0700, 0) == 0)
      fd = sys::openat(parent, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) return note(std::move(fd).error()), false;
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0 || st.st_dev != top.st_dev)
      return note(
                 Error(Errc::failed, "remove " + child + ": another file system is mounted there")),
             false;
    auto dir = open_dir(fd->get());
    if (!dir) return note(std::move(dir).error()), false;
    levels.push_back({std::move(*fd), std::move(*dir), child});
    return true;
  };
  if (!enter(dir_fd, name)) return first ? Result<void>(std::move(*first)) : Result<void>();
  // What lies too deep for as many descriptors is moved up, to be found by another look at the top.
  bool look_again = false;
  auto move_up = [&](int parent, const std::string& child) {
    const int up = levels.front().fd.get();
    const std::string away = ".removed-" + random_hex(8);
    if (::renameat(parent, child.c_str(), up, away.c_str()) != 0 &&
        (errno != EACCES || ::fchmodat(parent, child.c_str(), 0700, 0) != 0 ||
         ::renameat(parent, child.c_str(), up, away.c_str()) != 0))
      return note(Error::from_errno(errno, "remove " + child));
    look_again = true;
  };

  while (!levels.empty()) {
    Level& level = levels.back();
    const dirent* entry = ::readdir(level.dir.get());
    if (entry == nullptr && levels.size() == 1 && std::exchange(look_again, false)) {
      ::rewinddir(level.dir.get());
      continue;
    }
    if (entry == nullptr) {
      Level done = std::move(levels.back());
      levels.pop_back();
      const int parent = levels.empty() ? dir_fd : levels.back().fd.get();
      if (::unlinkat(parent, done.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        note(Error::from_errno(errno, "rmdir " + done.name));
      continue;
    }
    if (is_dot(entry->d_name)) continue;
    const int here = level.fd.get();
    const std::string child = entry->d_name;
    if (entry->d_type != DT_DIR) {
      if (::unlinkat(here, child.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno == EACCES && ::fchmod(here, 0700) == 0 && ::unlinkat(here, child.c_str(), 0) == 0)
        continue;
      if (errno != EISDIR) {
        note(Error::from_errno(errno, "remove " + child));
        continue;
      }
    }
    if (::unlinkat(here, child.c_str(), AT_REMOVEDIR) == 0) continue;
    if (errno == EACCES) ::fchmod(here, 0700);
    if (levels.size() < kOpenLevels)
      enter(here, child);
    else
      move_up(here, child);
  }
  if (first) return std::move(*first).with_context("remove " + name);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string dir =
      slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  auto dir_fd = sys::open(dir, O_RDONLY | O_DIRECTORY);
  if (!dir_fd)
    return dir_fd.error().code() == Errc::not_found ? Result<void>()
                                                    : Result<void>(std::move(dir_fd).error());
  return remove_tree(dir_fd->get(), path.substr(slash == std::string::npos ? 0 : slash + 1));
}

Result<void> list_dir(
    int dir_fd,
    const std::function<Result<void>(const std::string& name, unsigned char d_type)>& visit) {
  const Dir dir = TRY(open_dir(dir_fd));
  while (const dirent* entry = ::readdir(dir.get()))
    if (!is_dot(entry->d_name)) TRY(visit(entry->d_name, entry->d_type));
  return {};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const auto dir = sys::open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (dir)
    (void)list_dir(dir->get(), [&](const std::string& name, unsigned char) -> Result<void> {
      names.push_back(name);
      return {};
    });
  return names;
}

bool exists(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

Result<void> sync_dir(int dir_fd) {
  if (::fsync(dir_fd) != 0) return Error::from_errno(errno, "fsync of a folder");
  return {};
}

}  // namespace locald
