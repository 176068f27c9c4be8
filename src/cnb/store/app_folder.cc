#include "cnb/store/app_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::cnb {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Result<void> own(int fd, uid_t uid, gid_t gid, mode_t mode) {
  if (::fchown(fd, uid, gid) != 0) return Error::from_errno(errno, "chown");
  if (::fchmod(fd, mode) != 0) return Error::from_errno(errno, "chmod");
  return {};
}

std::vector<std::string> names_of(const std::string& path) {
  return path.empty() ? std::vector<std::string>() : split(path, '/');
}

}  // namespace

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<AppFolder> AppFolder::open(const JobApp& app) {
  AppFolder folder;
  folder.path_ = app.top;
  folder.top_ = TRY(sys::open(folder.path_, kFolderFlags));
  folder.uid_ = app.uid;
  folder.gid_ = app.gid;
  return folder;
}

Result<UniqueFd> AppFolder::dir(const std::string& path) const {
  UniqueFd at = TRY(sys::openat(top(), ".", kFolderFlags));
  for (const std::string& name : names_of(path))
    at = TRY(sys::openat(at.get(), name, kFolderFlags).context(path));
  return at;
}

bool AppFolder::has(const std::string& path) const {
  struct stat st {};
  const auto at = dir(parent_of(path));
  return at && ::fstatat(at->get(), name_of(path).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<UniqueFd> AppFolder::make_dir(const std::string& path, uid_t uid, gid_t gid,
                                     mode_t mode) const {
  UniqueFd at = TRY(sys::openat(top(), ".", kFolderFlags));
  for (const std::string& name : names_of(path)) {
    const bool made = ::mkdirat(at.get(), name.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return Error::from_errno(errno, "mkdir " + path);
    at = TRY(sys::openat(at.get(), name, kFolderFlags).context(path));
    if (made) TRY(own(at.get(), uid, gid, 0755).context(path));
  }
  TRY(own(at.get(), uid, gid, mode).context(path));
  return at;
}

Result<void> AppFolder::clear_way(const std::string& path) const {
  UniqueFd at = TRY(sys::openat(top(), ".", kFolderFlags));
  for (const std::string& name : names_of(path)) {
    struct stat st {};
    if (::fstatat(at.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return {};
      return Error::from_errno(errno, path);
    }
    if (!S_ISDIR(st.st_mode)) return remove_tree(at.get(), name).context(path);
    at = TRY(sys::openat(at.get(), name, kFolderFlags).context(path));
  }
  return {};
}

Result<void> AppFolder::own_file(const std::string& path, const std::string& text) const {
  auto there = dir(parent_of(path));
  const UniqueFd at = there ? std::move(*there) : TRY(own_dir(parent_of(path)));
  TRY(remove_tree(at.get(), name_of(path)));
  const UniqueFd file =
      TRY(sys::openat(at.get(), name_of(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  TRY(own(file.get(), uid_, gid_, 0644).context(path));
  return sys::write_all(file.get(), text).context(path);
}

Result<std::string> AppFolder::read_file(const std::string& path, std::size_t max_bytes) const {
  const UniqueFd at = TRY(dir(parent_of(path)));
  auto opened = sys::openat(at.get(), name_of(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!opened && opened.error().sys_errno() == ELOOP)
    return Error(Errc::invalid_input, path + " is a symlink, which is not followed");
  const UniqueFd file = TRY(std::move(opened).context(path));
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return Error::from_errno(errno, path);
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, path + " is not a regular file");
  return read_all(file.get(), max_bytes).context(path);
}

Result<void> AppFolder::move(const std::string& from, const std::string& to) const {
  const UniqueFd source = TRY(dir(parent_of(from))), target = TRY(dir(parent_of(to)));
  if (::renameat2(source.get(), name_of(from).c_str(), target.get(), name_of(to).c_str(),
                  RENAME_NOREPLACE) != 0)
    return Error::from_errno(errno, "move " + from + " to " + to);
  return {};
}

Result<void> AppFolder::remove(const std::string& path) const {
  const auto at = dir(parent_of(path));
  if (!at) return at.error().code() == Errc::not_found ? Result<void>() : at.error();
  return remove_tree(at->get(), name_of(path)).context(path);
}

Result<void> AppFolder::thin_out(const std::string& path,
                                 const std::vector<std::string>& stay) const {
  const std::set<std::string> stays(stay.begin(), stay.end());
  const auto at = dir(path);
  if (!at) return at.error().code() == Errc::not_found ? Result<void>() : at.error();
  std::vector<std::string> gone;
  TRY(list_dir(at->get(), [&](const std::string& name, unsigned char) -> Result<void> {
    if (!stays.contains(name)) gone.push_back(name);
    return {};
  }));
  for (const std::string& name : gone) TRY(remove_tree(at->get(), name));
  return {};
}

}  // namespace locald::cnb
