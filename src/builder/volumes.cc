#include "builder/volumes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"
#include "oci/digest.h"

namespace locald::builder {
namespace {

bool is_within(const std::string& path, const std::string& folder) {
  return path == folder || folder == "/" || path.starts_with(folder + "/");
}

struct FreeText {
  void operator()(char* text) const noexcept { std::free(text); }
};
Result<std::string> canonical(const std::string& path) {
  const std::unique_ptr<char, FreeText> real(::realpath(path.c_str(), nullptr));
  if (!real) return Error::from_errno(errno, path);
  return std::string(real.get());
}

/// Copies trees by descriptor, entry by entry.
class Copier {
 public:
  Result<void> folder_content(int from, int to, int depth) {
    if (depth > 1024) return Error(Errc::invalid_input, "folders nested more than 1024 deep");
    const UniqueFd dir = TRY(sys::openat(from, ".", O_RDONLY | O_DIRECTORY));
    return list_dir(dir.get(), [&](const std::string& name, unsigned char) {
      return entry(from, to, name, depth);
    });
  }

  Result<void> attributes(int from, int to, const struct stat& st) const {
    if (::fchown(to, st.st_uid, st.st_gid) != 0) return Error::from_errno(errno, "chown");
    if (::fchmod(to, st.st_mode & 07777u) != 0)
      return Error::from_errno(errno, "chmod");  // after chown, which clears setuid
    TRY(xattrs(from, to));
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (::futimens(to, times) != 0) return Error::from_errno(errno, "set times");
    return {};
  }

  std::uint64_t count() const noexcept { return count_; }

 private:
  Result<void> entry(int from, int to, const std::string& name, int depth) {
    ++count_;
    const UniqueFd look = TRY(sys::openat(from, name, O_PATH | O_NOFOLLOW).context(name));
    struct stat st {};
    if (::fstat(look.get(), &st) != 0) return Error::from_errno(errno, "fstat " + name);
    if (S_ISDIR(st.st_mode)) {
      TRY(sys::mkdirat(to, name, 0700));
      const UniqueFd inner = TRY(sys::openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      TRY(folder_content(look.get(), inner.get(), depth + 1));
      return attributes(look.get(), inner.get(), st).context(name);
    }
    if (st.st_nlink > 1) {
      const auto [known, first] = links_.try_emplace({st.st_dev, st.st_ino});
      if (!first) {
        if (::linkat(AT_FDCWD, proc_path(known->second.get()).c_str(), to, name.c_str(),
                     AT_SYMLINK_FOLLOW) == 0)
          return {};
        return Error::from_errno(errno, "link " + name);
      }
      TRY(single(look.get(), to, name, st).context(name));
      known->second = TRY(sys::openat(to, name, O_PATH | O_NOFOLLOW));
      return {};
    }
    return single(look.get(), to, name, st).context(name);
  }

  Result<void> single(int look, int to, const std::string& name, const struct stat& st) const {
    if (S_ISREG(st.st_mode)) {
      const UniqueFd in = TRY(sys::open(proc_path(look), O_RDONLY));
      const UniqueFd out =
          TRY(sys::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
      TRY(bytes(in.get(), out.get(), st.st_size));
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

  static Result<void> bytes(int in, int out, off_t size) {
    while (true) {
      const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, 1u << 30, 0);
      if (n == 0) break;
      if (n > 0 || errno == EINTR) continue;
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

  /// Names and values as they are; what this file system or user namespace cannot hold is left out.
  static Result<void> xattrs(int from, int to) {
    const std::string path = proc_path(from);
    std::array<char, 65536> names;
    const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
    if (size < 0)
      return errno == ENOTSUP ? Result<void>()
                              : Result<void>(Error::from_errno(errno, "list xattrs"));
    for (ssize_t at = 0; at < size;
         at += static_cast<ssize_t>(std::strlen(names.data() + at)) + 1) {
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

  static std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

  std::map<std::pair<dev_t, ino_t>, UniqueFd> links_;  // the copy of what has several names
  std::uint64_t count_ = 0;
};

}  // namespace

std::string anonymous_volume_name(const std::string& key, const std::string& target) {
  return "_" + key + "_" + oci::Digest::of(target).short_hex();
}

bool is_anonymous_volume(const std::string& name, const std::string& key) {
  if (!name.starts_with('_')) return false;
  return key.empty() || (name.size() == key.size() + 14 && name.compare(1, key.size(), key) == 0 &&
                         name[key.size() + 1] == '_');
}

Result<BindSource> check_bind(const std::string& source, const Paths& paths) {
  Result<std::string> real = canonical(source);
  if (!real) {
    if (real.error().code() == Errc::not_found)
      return Error(Errc::not_found,
                   "the folder or file " + source + " to be mounted does not exist")
          .with_hint("make it first (mkdir -p " + shell_quote(source) + "), or use a named volume");
    return std::move(real).error().with_context("mount");
  }
  struct stat st {};
  if (::stat(real->c_str(), &st) != 0) return Error::from_errno(errno, "mount " + source);
  for (const std::string& ours : {paths.data(), paths.state(), paths.run()}) {
    const std::string folder = canonical(ours).value_or(ours);
    const bool inside = is_within(*real, folder), around = is_within(folder, *real);
    if (inside || around)
      return Error(Errc::denied, "mount " + source + ": it " +
                                     (*real == folder ? "is"
                                      : inside        ? "lies in"
                                                      : "contains") +
                                     " " + folder + ", where locald keeps its own files")
          .with_hint(around ? "mount a folder further down instead" : "mount another folder");
  }
  return BindSource{std::move(real).value(), S_ISDIR(st.st_mode)};
}

std::optional<std::string> bind_warning(
    const BindSource& bind, const std::string& target, const ResolvedUser& user,
    const std::function<std::optional<std::uint32_t>(std::uint32_t)>& host_id) {
  struct stat st {};
  if (::stat(bind.path.c_str(), &st) != 0) return std::nullopt;
  const auto uid = host_id(user.uid);
  bool writable = false;
  if (user.uid == 0 || uid == ::getuid()) {
    writable = ::access(bind.path.c_str(), W_OK) == 0;
  } else if (uid == st.st_uid) {
    writable = (st.st_mode & S_IWUSR) != 0;
  } else {
    const bool in_group = std::any_of(user.additional_gids.begin(), user.additional_gids.end(),
                                      [&](std::uint32_t gid) { return host_id(gid) == st.st_gid; });
    writable = (st.st_mode & (in_group ? S_IWGRP : S_IWOTH)) != 0;
  }
  if (writable) return std::nullopt;
  const std::string who =
      (user.name.empty() ? "the service's user" : "\"" + user.name + "\"") + " (uid " +
      std::to_string(user.uid) +
      (uid && *uid != user.uid ? ", " + std::to_string(*uid) + " on this host" : "") + ")";
  return who + " cannot write to " + bind.path + ", mounted at " + target + ": it belongs to uid " +
         std::to_string(st.st_uid) + ". Ways out: a named volume; user = \"0\"; or chmod o+w " +
         shell_quote(bind.path);
}

Result<std::uint64_t> make_volume(int source_fd, const std::string& target) {
  const std::size_t slash = target.rfind('/');
  const std::string parent = target.substr(0, slash), name = target.substr(slash + 1);
  const UniqueFd dir = TRY(make_dirs(parent));
  if (exists(target)) return std::uint64_t{0};
  const std::string staged = ".new-" + name + "-" + random_hex(6);
  TRY(sys::mkdirat(dir.get(), staged, 0700));
  Copier copier;
  const auto fill = [&]() -> Result<void> {
    const UniqueFd to = TRY(sys::openat(dir.get(), staged, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (source_fd < 0) {
      if (::fchmod(to.get(), 0755) != 0) return Error::from_errno(errno, "chmod");
    } else {
      TRY(copier.folder_content(source_fd, to.get(), 0));
      struct stat st {};
      if (::fstat(source_fd, &st) != 0) return Error::from_errno(errno, "fstat");
      TRY(copier.attributes(source_fd, to.get(), st));
      // The name must not outlive a power cut that the content did not.
      if (copier.count() != 0 && ::syncfs(to.get()) != 0) return Error::from_errno(errno, "syncfs");
    }
    // RENAME_NOREPLACE: whoever made it meanwhile was first.
    if (::renameat2(dir.get(), staged.c_str(), dir.get(), name.c_str(), RENAME_NOREPLACE) != 0 &&
        errno != EEXIST)
      return Error::from_errno(errno, "rename");
    return {};
  };
  Result<void> filled = fill();
  if (!filled || exists(parent + "/" + staged)) (void)remove_tree(dir.get(), staged);
  if (!filled) return std::move(filled).error().with_context("make volume " + name);
  return copier.count();
}

}  // namespace locald::builder
