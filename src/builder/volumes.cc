#include "builder/volumes.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "builder/tree_copy.h"
#include "oci/ref/digest.h"

namespace locald::builder {

std::string anonymous_volume_name(const std::string& key, const std::string& target) {
  return "_" + key + "_" + oci::Digest::of(target).short_hex();
}

bool is_anonymous_volume(const std::string& name, const std::string& key) {
  if (!name.starts_with('_')) return false;
  return key.empty() || (name.size() == key.size() + 14 && name.compare(1, key.size(), key) == 0 &&
                         name[key.size() + 1] == '_');
}

namespace {

/// The shim, in namespaces of its own, sees another /proc: it would take what it finds there for
/// something that was exchanged.
bool in_proc(const JudgedPath& path) {
  struct statfs st {};
  return ::fstatfs(path.fd.get(), &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

}  // namespace

Result<JudgedPath> open_bind(const std::string& source, const PathJudge& judge) {
  auto opened = judge.open(source, PathJudge::Use::share);
  // A refusal names the source itself.
  if (!opened && opened.error().code() == Errc::denied) return std::move(opened).context("mount");
  if (!opened && opened.error().code() != Errc::not_found)
    return std::move(opened).context("mount " + source);
  if (opened && in_proc(*opened))
    return Error(Errc::invalid_input, "mount " + source + ": " + opened->path +
                                          " is a part of /proc, and a container has a /proc of "
                                          "its own")
        .with_hint(
            "name the file or folder itself that is meant; /dev/fd and /dev/stdin lead into "
            "/proc, and to something else in each process");
  if (opened) return opened;
  return Error(Errc::not_found, "the folder or file " + source + " to be mounted does not exist")
      .with_hint("create the file, or the folder (mkdir -p " + shell_quote(source) +
                 "), or use a named volume");
}

std::optional<std::string> bind_warning(
    const JudgedPath& bind, const std::string& target, const ResolvedUser& user,
    const std::function<std::optional<std::uint32_t>(std::uint32_t)>& host_id) {
  const struct stat& st = bind.st;
  const auto uid = host_id(user.uid);
  bool writable = false;
  if (user.uid == 0 || uid == ::getuid()) {
    writable = ::access(("/proc/self/fd/" + std::to_string(bind.fd.get())).c_str(), W_OK) == 0;
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
         std::to_string(st.st_uid) + ". Ways out: a named volume; the user 0; or chmod " +
         (bind.is_folder() ? "o+rwx " : "o+rw ") + shell_quote(bind.path);
}

Result<std::uint64_t> make_volume(int source_fd, const std::string& target) {
  const std::size_t slash = target.rfind('/');
  const std::string parent = target.substr(0, slash), name = target.substr(slash + 1);
  const UniqueFd dir = TRY(make_dirs(parent));
  if (exists(target)) return std::uint64_t{0};
  const std::string staged = ".new-" + name + "-" + random_hex(6);
  TRY(sys::mkdirat(dir.get(), staged, 0700));
  TreeCopy copy;
  const auto fill = [&]() -> Result<void> {
    const UniqueFd to = TRY(sys::openat(dir.get(), staged, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (source_fd < 0) {
      if (::fchmod(to.get(), 0755) != 0) return Error::from_errno(errno, "chmod");
    } else {
      TRY(copy.content(source_fd, to.get()));
      struct stat st {};
      if (::fstat(source_fd, &st) != 0) return Error::from_errno(errno, "fstat");
      TRY(copy.attributes(source_fd, to.get(), st));
      // The name must not outlive a power cut that the content did not.
      if (copy.count() != 0 && ::syncfs(to.get()) != 0) return Error::from_errno(errno, "syncfs");
    }
    // RENAME_NOREPLACE: another process may have created it first.
    if (::renameat2(dir.get(), staged.c_str(), dir.get(), name.c_str(), RENAME_NOREPLACE) != 0 &&
        errno != EEXIST)
      return Error::from_errno(errno, "rename");
    return {};
  };
  Result<void> filled = fill();
  if (!filled || exists(parent + "/" + staged)) (void)remove_tree(dir.get(), staged);
  if (!filled) return std::move(filled).error().with_context("make volume " + name);
  return copy.count();
}

}  // namespace locald::builder
