#include "oci/layer/layer_attributes.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace locald::oci {
namespace {

constexpr std::size_t kMaxWarnings = 20;
constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

/// Means the host, not the image: labels and ACLs of another machine's policy.
bool is_ignored(std::string_view name) {
  return name == "security.selinux" || name == "security.nfs4_acl" || name == "system.nfs4_acl";
}

bool is_overlay(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

/// A path to `name` that follows nothing but our own descriptor.
std::string proc_path(int dir, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(dir) + "/" + name;
}

int chmod_no_follow(int dir, const char* name, mode_t mode) {
#ifndef SYS_fchmodat2
  constexpr long SYS_fchmodat2 = 452;  // Linux 6.6; the number is the same on all our architectures
#endif
  if (::syscall(SYS_fchmodat2, dir, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
    return -1;                                              // EPERM: an older seccomp filter
  return ::fchmodat(dir, name, mode, AT_SYMLINK_NOFOLLOW);  // glibc goes by /proc/self/fd
}

}  // namespace

const char* opaque_xattr(IdMap map) noexcept {
  return map == IdMap::root ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

void Warnings::add(std::string text) {
  if (std::find(texts_.begin(), texts_.end(), text) != texts_.end()) return;
  if (texts_.size() < kMaxWarnings)
    texts_.push_back(std::move(text));
  else
    ++dropped_;
}

std::vector<std::string> Warnings::take() && {
  if (dropped_ != 0) texts_.push_back("and " + std::to_string(dropped_) + " more warnings");
  return std::move(texts_);
}

Result<void> LayerAttributes::owner_error(int err, const TarEntry& entry) {
  const std::string owner = std::to_string(entry.uid) + ":" + std::to_string(entry.gid);
  if (err == EINVAL)  // chown(2): the id has no place in the user namespace
    return Error(Errc::invalid_input, entry.path + " belongs to " + owner +
                                          ", which your range of subordinate ids does not cover")
        .with_hint(
            "give your user a larger range in /etc/subuid and /etc/subgid (65536 ids suit nearly "
            "every image)");
  return Error::from_errno(err, "chown " + owner + " " + entry.path);
}

bool LayerAttributes::wanted(const TarEntry::Xattr& xattr, const TarEntry& entry) {
  if (is_ignored(xattr.name)) return false;
  if (is_overlay(xattr.name)) {
    // Live, it would let an image forge opaque folders and redirects in our mounts.
    warnings_.add(entry.path + ": the attribute " + xattr.name +
                  " was left out (reserved for overlayfs)");
    return false;
  }
  return true;
}

Result<void> LayerAttributes::after_xattr(int err, const TarEntry::Xattr& xattr,
                                          const TarEntry& entry) {
  if (err == ENOSPC || err == EDQUOT)
    return Error::from_errno(err, "set " + xattr.name + " on " + entry.path);
  const bool plain = entry.type == TarEntry::Type::file || entry.type == TarEntry::Type::dir;
  if (err == EPERM && !plain && xattr.name.starts_with("user."))
    return {};  // the kernel allows these on files and folders alone
  if (err == EOPNOTSUPP)
    warnings_.add("the file system does not support the attribute " + xattr.name);
  else
    warnings_.add("the attribute " + xattr.name + " could not be set (" + std::strerror(err) + ")");
  return {};
}

Result<void> LayerAttributes::set_file(int fd, const TarEntry& entry) {
  if (options_.id_map != IdMap::single && ::fchown(fd, entry.uid, entry.gid) != 0)
    return owner_error(errno, entry);
  for (const auto& xattr : entry.xattrs)
    if (wanted(xattr, entry) &&
        ::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
      TRY(after_xattr(errno, xattr, entry));
  if (::fchmod(fd, entry.mode) != 0) return Error::from_errno(errno, "chmod " + entry.path);
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::futimens(fd, times) != 0) return Error::from_errno(errno, "set the times of " + entry.path);
  return {};
}

Result<std::vector<TarEntry::Xattr>> LayerAttributes::set_dir(int fd, const TarEntry& entry) {
  std::vector<TarEntry::Xattr> late;
  if (options_.id_map != IdMap::single && ::fchown(fd, entry.uid, entry.gid) != 0)
    return std::move(owner_error(errno, entry)).error();
  for (const auto& xattr : entry.xattrs) {
    if (!wanted(xattr, entry)) continue;
    if (xattr.name == kDefaultAcl)
      late.push_back(xattr);
    else if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) != 0)
      TRY(after_xattr(errno, xattr, entry));
  }
  if (::fchmod(fd, entry.mode) != 0) return Error::from_errno(errno, "chmod " + entry.path);
  return late;
}

Result<void> LayerAttributes::set_late(int fd, const std::string& path,
                                       const TarEntry::Xattr& xattr) {
  if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0)
    return {};
  const int err = errno;
  TarEntry entry;
  entry.type = TarEntry::Type::dir;
  entry.path = path;
  return after_xattr(err, xattr, entry);
}

Result<void> LayerAttributes::set_node(int dir, const std::string& name, const TarEntry& entry) {
  const char* at = name.c_str();
  if (options_.id_map != IdMap::single &&
      ::fchownat(dir, at, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return owner_error(errno, entry);
  for (const auto& xattr : entry.xattrs)
    if (wanted(xattr, entry) && ::lsetxattr(proc_path(dir, name).c_str(), xattr.name.c_str(),
                                            xattr.value.data(), xattr.value.size(), 0) != 0)
      TRY(after_xattr(errno, xattr, entry));
  if (entry.type != TarEntry::Type::symlink && chmod_no_follow(dir, at, entry.mode) != 0)
    return Error::from_errno(errno, "chmod " + entry.path);
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::utimensat(dir, at, times, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, "set the times of " + entry.path);
  return {};
}

Result<TarEntry> LayerAttributes::read(int dir, const std::string& name, const struct stat& st,
                                       const std::string& path) {
  TarEntry entry;
  entry.path = path;
  entry.type = S_ISREG(st.st_mode)    ? TarEntry::Type::file
               : S_ISDIR(st.st_mode)  ? TarEntry::Type::dir
               : S_ISLNK(st.st_mode)  ? TarEntry::Type::symlink
               : S_ISFIFO(st.st_mode) ? TarEntry::Type::fifo
               : S_ISCHR(st.st_mode)  ? TarEntry::Type::char_device
               : S_ISBLK(st.st_mode)  ? TarEntry::Type::block_device
                                      : TarEntry::Type::other;
  entry.mode = st.st_mode & 07777;
  entry.uid = st.st_uid;
  entry.gid = st.st_gid;
  entry.mtime = st.st_mtim;
  entry.size = S_ISREG(st.st_mode) ? static_cast<std::uint64_t>(st.st_size) : 0;
  const std::string from = proc_path(dir, name);
  std::string names(options_.limits.max_entry_xattr_bytes, '\0');
  const ssize_t size = ::llistxattr(from.c_str(), names.data(), names.size());
  if (size < 0) {
    if (errno == EOPNOTSUPP) return entry;
    return Error::from_errno(errno, "list the attributes of " + path);
  }
  std::string value(options_.limits.max_xattr_bytes, '\0');
  for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
    std::string xattr = names.c_str() + at;
    at += xattr.size() + 1;
    if (is_overlay(xattr) || is_ignored(xattr))
      continue;  // an opaque lower folder does not make its copy opaque
    const ssize_t got = ::lgetxattr(from.c_str(), xattr.c_str(), value.data(), value.size());
    if (got < 0) return Error::from_errno(errno, "read " + xattr + " of " + path);
    entry.xattrs.push_back({std::move(xattr), value.substr(0, static_cast<std::size_t>(got))});
  }
  return entry;
}

void LayerAttributes::clear_xattrs(int fd) {
  char small[1024];
  ssize_t size = ::flistxattr(fd, small, sizeof small);
  if (size == 0) return;
  std::string names(small, size > 0 ? static_cast<std::size_t>(size) : 0);
  if (size < 0) {
    if (errno != ERANGE) return;
    names.resize(64u << 10);  // XATTR_LIST_MAX
    size = ::flistxattr(fd, names.data(), names.size());
    if (size <= 0) return;
    names.resize(static_cast<std::size_t>(size));
  }
  for (std::size_t at = 0; at < names.size();) {
    const char* name = names.c_str() + at;
    at += std::strlen(name) + 1;
    // Those that stay are the host's own, or ours.
    if (!is_ignored(name) && !is_overlay(name)) ::fremovexattr(fd, name);
  }
}

}  // namespace locald::oci
