#include "builder/file_copy.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

constexpr int kDeepestCopy = 250;  // three descriptors each
constexpr mode_t kModes = 01777;

std::string path_of_fd(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// To the end, whatever size was said before: files of /proc say none, logs grow.
Result<std::uint64_t> copy_stream(int in, int out) {
  std::array<char, 1u << 17> buffer;
  std::uint64_t bytes = 0;
  while (true) {
    const std::size_t got = TRY(sys::read_some(in, buffer.data(), buffer.size()));
    if (got == 0) return bytes;
    TRY(sys::write_all(out, {buffer.data(), got}));
    bytes += got;
  }
}

/// A file system whose files are the kernel's words, without an end.
bool is_of_kernel(int fd) {
  struct statfs st {};
  if (::fstatfs(fd, &st) != 0) return false;
  return st.f_type == PROC_SUPER_MAGIC || st.f_type == SYSFS_MAGIC ||
         st.f_type == CGROUP_SUPER_MAGIC || st.f_type == CGROUP2_SUPER_MAGIC;
}

class Copier {
 public:
  Copier(int to, const CopyRules& rules) : rules_(rules) { (void)::fstat(to, &top_); }

  Result<void> entry(int from, const std::string& name, int to, const std::string& to_name,
                     int depth) {
    const UniqueFd look = TRY(sys::openat(from, name, O_PATH | O_NOFOLLOW).context(name));
    struct stat st {};
    if (::fstat(look.get(), &st) != 0) return Error::from_errno(errno, "look at " + name);
    if (S_ISDIR(st.st_mode)) return folder(look.get(), st, to, to_name, depth).context(name);
    if (S_ISREG(st.st_mode)) return file(look.get(), st, to, to_name).context(name);
    if (S_ISLNK(st.st_mode)) return link(look.get(), st, to, to_name).context(name);
    ++done.left_out;
    return {};
  }

  Result<void> contents(int from, int to, int depth) {
    if (depth > kDeepestCopy)
      return Error(Errc::invalid_input,
                   "folders nested more than " + std::to_string(kDeepestCopy) + " deep");
    const UniqueFd dir = TRY(sys::openat(from, ".", O_RDONLY | O_DIRECTORY));
    return list_dir(dir.get(), [&](const std::string& name, unsigned char) -> Result<void> {
      auto copied = entry(from, name, to, name, depth);
      // A file may be removed during the copy.
      if (!copied && copied.error().code() == Errc::not_found) return {};
      return copied;
    });
  }

  CopiedFiles done;

 private:
  Result<void> folder(int look, const struct stat& st, int to, const std::string& name, int depth) {
    // The target itself may lie in the source: a folder of the host's that the container has.
    if (st.st_dev == top_.st_dev && st.st_ino == top_.st_ino) return {};
    if (is_of_kernel(look)) {
      ++done.left_out;
      return {};
    }
    const bool made = ::mkdirat(to, name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return Error::from_errno(errno, "create folder " + name);
    auto inner = sys::openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!inner && !made) return Error(Errc::already_exists, name + " is there and is not a folder");
    const UniqueFd target = TRY(std::move(inner));
    TRY(contents(look, target.get(), depth + 1));
    if (!made) return {};
    ++done.entries;
    return dress(target.get(), st);
  }

  Result<void> file(int look, const struct stat& st, int to, const std::string& name) {
    const UniqueFd in = TRY(sys::open(path_of_fd(look), O_RDONLY | O_NONBLOCK));
    const std::string temporary = ".locald-cp-" + random_hex(8);
    const auto write = [&]() -> Result<void> {
      const UniqueFd out =
          TRY(sys::openat(to, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
      done.bytes += TRY(copy_stream(in.get(), out.get()));
      return dress(out.get(), st);
    };
    return place(write(), to, temporary, name);
  }

  Result<void> link(int look, const struct stat& st, int to, const std::string& name) {
    std::array<char, 4097> target{};
    if (::readlinkat(look, "", target.data(), target.size() - 1) < 0)
      return Error::from_errno(errno, "read the link");
    const std::string temporary = ".locald-cp-" + random_hex(8);
    const auto write = [&]() -> Result<void> {
      if (::symlinkat(target.data(), to, temporary.c_str()) != 0)
        return Error::from_errno(errno, "create a symbolic link");
      if (rules_.owner && ::fchownat(to, temporary.c_str(), rules_.owner->first,
                                     rules_.owner->second, AT_SYMLINK_NOFOLLOW) != 0)
        return Error::from_errno(errno, "chown");
      const struct timespec times[2] = {st.st_atim, st.st_mtim};
      (void)::utimensat(to, temporary.c_str(), times, AT_SYMLINK_NOFOLLOW);
      return {};
    };
    return place(write(), to, temporary, name);
  }

  Result<void> place(Result<void> written, int to, const std::string& temporary,
                     const std::string& name) {
    if (written && ::renameat(to, temporary.c_str(), to, name.c_str()) != 0)
      written = errno == EISDIR ? Error(Errc::already_exists, name + " is there and is a folder")
                                : Error::from_errno(errno, "put " + name + " in its place");
    if (!written) {
      (void)::unlinkat(to, temporary.c_str(), 0);
      return written;
    }
    ++done.entries;
    return {};
  }

  Result<void> dress(int fd, const struct stat& st) const {
    if (rules_.owner && ::fchown(fd, rules_.owner->first, rules_.owner->second) != 0)
      return Error::from_errno(errno, "chown");
    if (::fchmod(fd, st.st_mode & kModes) != 0) return Error::from_errno(errno, "chmod");
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (::futimens(fd, times) != 0) return Error::from_errno(errno, "set times");
    return {};
  }

  const CopyRules& rules_;
  struct stat top_ {};
};

}  // namespace

Result<CopiedFiles> copy_entry(int from, const std::string& name, int to,
                               const std::string& to_name, const CopyRules& rules) {
  Copier copier(to, rules);
  TRY(copier.entry(from, name, to, to_name, 0));
  return copier.done;
}

Result<CopiedFiles> copy_contents(int from, int to, const CopyRules& rules) {
  Copier copier(to, rules);
  TRY(copier.contents(from, to, 0));
  return copier.done;
}

}  // namespace locald::builder
