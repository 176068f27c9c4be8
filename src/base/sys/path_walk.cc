#include "base/sys/path_walk.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/strings.h"

namespace locald {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

/// A group that by convention has the user alone in it: that of the user's own name and number.
bool own_group(gid_t gid) {
  return gid == 0 || (gid == ::getegid() && static_cast<uid_t>(gid) == ::geteuid());
}

bool has_acl(int fd) {
  return ::getxattr(("/proc/self/fd/" + std::to_string(fd)).c_str(), "system.posix_acl_access",
                    nullptr, 0) > 0;
}

/// Who else may exchange names in the folder; "": nobody.
std::string other_writers(int fd, const struct stat& st) {
  if (!is_trusted(st.st_uid)) return "uid " + std::to_string(st.st_uid);
  if ((st.st_mode & S_ISVTX) != 0) return "";  // each its own: the owner of what is in it counts
  if ((st.st_mode & S_IWOTH) != 0) return "every user";
  if ((st.st_mode & S_IWGRP) != 0) {
    if (!own_group(st.st_gid)) return "group " + std::to_string(st.st_gid);
    if (has_acl(fd)) return "somebody its access list names";
  }
  return "";
}

Result<std::string> target_of(const PathStep& link) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlinkat(link.fd.get(), "", text.data(), text.size());
  if (size < 0) return Error::from_errno(errno, "read the link " + link.name);
  return std::string(text.data(), static_cast<std::size_t>(size));
}

}  // namespace

bool is_trusted(uid_t uid) { return uid == 0 || uid == ::geteuid(); }

std::string path_of(const std::vector<PathStep>& steps) {
  std::string out;
  for (std::size_t i = 1; i < steps.size(); ++i) out += "/" + steps[i].name;
  return out.empty() ? "/" : out;
}

std::string path_below(const std::vector<PathStep>& steps, const std::string& name) {
  const std::string folder = path_of(steps);
  return steps.empty() ? name : (folder == "/" ? "" : folder) + "/" + name;
}

Result<PathStep> enter_path(const std::vector<PathStep>& steps, const std::string& name) {
  const int dir = steps.empty() ? AT_FDCWD : steps.back().fd.get();
  PathStep step;
  step.name = name;
  // As a folder first: that is what has the kernel mount what is mounted on demand.
  step.fd.reset(::openat(dir, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!step.fd && errno == ENOTDIR)
    step.fd.reset(::openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!step.fd || ::fstat(step.fd.get(), &step.st) != 0)
    return Error::from_errno(errno, path_below(steps, name));
  if (!steps.empty()) step.open_to = steps.back().open_to;
  if (step.open_to.empty() && S_ISDIR(step.st.st_mode))
    if (const std::string who = other_writers(step.fd.get(), step.st); !who.empty())
      step.open_to = path_below(steps, name) + ", which " + who + " can write to";
  return step;
}

Result<std::vector<PathStep>> walk_path(const std::string& path, const MayFollow& may_follow) {
  if (!path.starts_with('/')) return Error(Errc::invalid_input, path + ": not an absolute path");
  std::vector<PathStep> steps;
  steps.push_back(TRY(enter_path(steps, "/")));
  std::vector<std::string> left;  // the next one last
  const auto add = [&](const std::string& more) {
    std::vector<std::string> names = split(more, '/');
    left.insert(left.end(), names.rbegin(), names.rend());
  };
  add(path);
  for (int links = 0; !left.empty();) {
    const std::string name = std::move(left.back());
    left.pop_back();
    if (name.empty() || name == ".") continue;
    if (!S_ISDIR(steps.back().st.st_mode))
      return Error(Errc::invalid_input, path_of(steps) + " is not a folder");
    if (name == "..") {
      // To where we came from, which was judged: its name may lead elsewhere by now.
      if (steps.size() > 1) steps.pop_back();
      continue;
    }
    PathStep step = TRY(enter_path(steps, name));
    if (!S_ISLNK(step.st.st_mode)) {
      steps.push_back(std::move(step));
      continue;
    }
    if (++links > kMaxLinks)
      return Error(Errc::invalid_input, path + ": more than 40 symlinks, or a circle of them");
    if (may_follow) TRY(may_follow(steps, step));
    const std::string target = TRY(target_of(step));
    if (target.starts_with('/')) steps.erase(steps.begin() + 1, steps.end());
    add(target);
  }
  return steps;
}

}  // namespace locald
