#include "builder/tree_copy.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

constexpr int kMaxDepth = 1024;
constexpr off_t kSmall = 1 << 20;  // bytes: up to there holes are not looked for

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// Names and values as they are; what this file system or user namespace cannot hold is left out.
Result<void> copy_xattrs(int from, int to) {
  const std::string path = proc_path(from);
  std::array<char, 65536> names;
  const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
  if (size < 0)
    return errno == ENOTSUP ? Result<void>()
                            : Result<void>(Error::from_errno(errno, "list xattrs"));
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(names.data() + at)) + 1) {
    const char* name = names.data() + at;
    if (std::strcmp(name, "security.selinux") == 0) continue;
    std::array<char, 65536> value;
    const ssize_t length = ::getxattr(path.c_str(), name, value.data(), value.size());
    if (length < 0) continue;
    if (::fsetxattr(to, name, value.data(), static_cast<std::size_t>(length), 0) != 0 &&
        errno != EPERM && errno != ENOTSUP)
      return Error::from_errno(errno, std::string("set xattr ") + name);
  }
  return {};
}

/// One extent of a file, to the same place in `out`.
Result<void> copy_extent(int in, int out, off_t at, off_t end) {
  off_t from = at, to = at;
  while (from < end) {
    const ssize_t n =
        ::copy_file_range(in, &from, out, &to, static_cast<std::size_t>(end - from), 0);
    if (n == 0) return {};  // it has become shorter
    if (n > 0 || errno == EINTR) continue;
    if (errno == ENOSPC || errno == EDQUOT) return Error::from_errno(errno, "write");
    std::array<char, 65536> buffer;
    const auto wanted = std::min<std::size_t>(buffer.size(), static_cast<std::size_t>(end - from));
    const ssize_t got = ::pread(in, buffer.data(), wanted, from);
    if (got == 0) return {};
    if (got < 0) return Error::from_errno(errno, "read");
    for (ssize_t written = 0; written < got;) {
      const ssize_t put =
          ::pwrite(out, buffer.data() + written, static_cast<std::size_t>(got - written), to);
      if (put < 0 && errno != EINTR) return Error::from_errno(errno, "write");
      if (put > 0) written += put, to += put;
    }
    from += got;
  }
  return {};
}

/// A file that holds less than its size: what is not in it is not made either.
Result<void> copy_sparse(int in, int out, off_t size) {
  for (off_t at = 0; at < size;) {
    const off_t data = ::lseek(in, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0) return Error::from_errno(errno, "seek");
    const off_t hole = ::lseek(in, data, SEEK_HOLE);
    if (hole < 0) return Error::from_errno(errno, "seek");
    at = std::min(hole, size);
    TRY(copy_extent(in, out, data, at));
  }
  struct stat now {};
  if (::fstat(in, &now) != 0 || now.st_size != size)
    return Error(Errc::failed, "copied another number of bytes than there were");
  if (::ftruncate(out, size) != 0) return Error::from_errno(errno, "truncate");
  return {};
}

}  // namespace

Result<void> copy_bytes(int in, int out, off_t size) {
  struct stat from {};
  if (::fstat(in, &from) == 0 && size > kSmall && from.st_blocks * 512 < size)
    return copy_sparse(in, out, size);
  while (true) {
    const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, 1u << 30, 0);
    if (n == 0) break;
    if (n > 0 || errno == EINTR) continue;
    if (errno == ENOSPC || errno == EDQUOT) return Error::from_errno(errno, "write");
    // Some pairs of file systems have no such shortcut.
    std::array<char, 65536> buffer;
    while (true) {
      const std::size_t got = TRY(sys::read_some(in, buffer.data(), buffer.size()));
      if (got == 0) break;
      TRY(sys::write_all(out, {buffer.data(), got}));
    }
    break;
  }
  struct stat st {};
  if (::fstat(out, &st) == 0 && st.st_size != size)
    return Error(Errc::failed, "copied another number of bytes than there were");
  return {};
}

Result<void> TreeCopy::content(int from, int to) {
  top_ = to;
  return folder(from, {to, ""});
}

Result<void> TreeCopy::folder(int from, const Place& to) {
  if (to.depth > kMaxDepth)
    return Error(Errc::invalid_input,
                 "folders nested more than " + std::to_string(kMaxDepth) + " deep");
  const UniqueFd dir = TRY(sys::openat(from, ".", O_RDONLY | O_DIRECTORY));
  return list_dir(dir.get(),
                  [&](const std::string& name, unsigned char) { return entry(from, to, name); });
}

Result<void> TreeCopy::attributes(int from, int to, const struct stat& st) const {
  if (::fchown(to, st.st_uid, st.st_gid) != 0) return Error::from_errno(errno, "chown");
  if (::fchmod(to, st.st_mode & 07777u) != 0)
    return Error::from_errno(errno, "chmod");  // after chown, which clears setuid
  TRY(copy_xattrs(from, to));
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (::futimens(to, times) != 0) return Error::from_errno(errno, "set times");
  return {};
}

Result<void> TreeCopy::entry(int from, const Place& to, const std::string& name) {
  ++count_;
  const UniqueFd look = TRY(sys::openat(from, name, O_PATH | O_NOFOLLOW).context(name));
  struct stat st {};
  if (::fstat(look.get(), &st) != 0) return Error::from_errno(errno, "fstat " + name);
  if (S_ISDIR(st.st_mode)) {
    TRY(sys::mkdirat(to.fd, name, 0700));
    const UniqueFd inner = TRY(sys::openat(to.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY(folder(look.get(), {inner.get(), to.path + name + "/", to.depth + 1}));
    return attributes(look.get(), inner.get(), st).context(name);
  }
  if (st.st_nlink < 2) return single(look.get(), to.fd, name, st).context(name);
  const auto [known, first] = links_.try_emplace({st.st_dev, st.st_ino}, to.path + name);
  if (first) return single(look.get(), to.fd, name, st).context(name);
  // By its path: a descriptor for each would be too many. Nobody else is in the copy yet.
  if (::linkat(top_, known->second.c_str(), to.fd, name.c_str(), 0) != 0)
    return Error::from_errno(errno, "link " + name);
  return {};
}

Result<void> TreeCopy::single(int look, int to, const std::string& name, const struct stat& st) {
  if (S_ISREG(st.st_mode)) {
    const UniqueFd in = TRY(sys::open(proc_path(look), O_RDONLY));
    const UniqueFd out = TRY(sys::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    TRY(copy_bytes(in.get(), out.get(), st.st_size));
    bytes_ += static_cast<std::uint64_t>(st.st_size);
    return attributes(look, out.get(), st);
  }
  if (S_ISLNK(st.st_mode)) {
    std::array<char, 4097> target{};
    const ssize_t size = ::readlinkat(look, "", target.data(), target.size() - 1);
    if (size < 0) return Error::from_errno(errno, "readlink");
    if (::symlinkat(target.data(), to, name.c_str()) != 0)
      return Error::from_errno(errno, "symlink");
  } else if (S_ISSOCK(st.st_mode)) {
    return {};  // means nothing without its listener
  } else if (::mknodat(to, name.c_str(), st.st_mode & (S_IFMT | 0600), st.st_rdev) != 0) {
    if (errno == EPERM && !S_ISFIFO(st.st_mode)) return {};  // a device, in a user namespace
    return Error::from_errno(errno, "mknod");
  }
  if (::fchownat(to, name.c_str(), st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, "chown");
  if (!S_ISLNK(st.st_mode) && ::fchmodat(to, name.c_str(), st.st_mode & 07777u, 0) != 0)
    return Error::from_errno(errno, "chmod");
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  (void)::utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  return {};
}

Result<TreeCopy> copy_tree(int from, const std::string& name, int to, const std::string& to_name) {
  const UniqueFd source = TRY(sys::openat(from, name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  struct stat st {};
  if (::fstat(source.get(), &st) != 0) return Error::from_errno(errno, "fstat " + name);
  if (::mkdirat(to, to_name.c_str(), 0700) != 0)
    return Error::from_errno(errno, "mkdir " + to_name);
  const auto fill = [&]() -> Result<TreeCopy> {
    const UniqueFd target = TRY(sys::openat(to, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TreeCopy copy;
    TRY(copy.content(source.get(), target.get()));
    TRY(copy.attributes(source.get(), target.get(), st));
    return copy;
  };
  auto copied = fill();
  if (!copied) {
    (void)remove_tree(to, to_name);
    return std::move(copied).error().with_context("copy " + name);
  }
  return copied;
}

}  // namespace locald::builder
