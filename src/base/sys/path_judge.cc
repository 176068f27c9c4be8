#include "base/sys/path_judge.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/mount_table.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

/// A file or folder on the way, held open.
struct Step {
  UniqueFd fd;
  struct stat st {};
  std::string name;
  /// Another uid may exchange what this folder, or one above it, holds: which folder, and who.
  std::string open_to;
};

std::string path_of(const std::vector<Step>& steps) {
  std::string out;
  for (std::size_t i = 1; i < steps.size(); ++i) out += "/" + steps[i].name;
  return out.empty() ? "/" : out;
}

std::string below(const std::vector<Step>& steps, const std::string& name) {
  const std::string folder = path_of(steps);
  return steps.empty() ? name : (folder == "/" ? "" : folder) + "/" + name;
}

bool trusted(uid_t uid) { return uid == 0 || uid == ::geteuid(); }

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
  if (!trusted(st.st_uid)) return "uid " + std::to_string(st.st_uid);
  if ((st.st_mode & S_ISVTX) != 0) return "";  // each its own: the owner of what is in it counts
  if ((st.st_mode & S_IWOTH) != 0) return "every user";
  if ((st.st_mode & S_IWGRP) != 0) {
    if (!own_group(st.st_gid)) return "group " + std::to_string(st.st_gid);
    if (has_acl(fd)) return "somebody its access list names";
  }
  return "";
}

Result<Step> enter(const std::vector<Step>& steps, const std::string& name) {
  const int dir = steps.empty() ? AT_FDCWD : steps.back().fd.get();
  Step step;
  step.name = name;
  // As a folder first: that is what has the kernel mount what is mounted on demand.
  step.fd.reset(::openat(dir, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!step.fd && errno == ENOTDIR)
    step.fd.reset(::openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!step.fd || ::fstat(step.fd.get(), &step.st) != 0)
    return Error::from_errno(errno, below(steps, name));
  if (!steps.empty()) step.open_to = steps.back().open_to;
  if (step.open_to.empty() && S_ISDIR(step.st.st_mode))
    if (const std::string who = other_writers(step.fd.get(), step.st); !who.empty())
      step.open_to = below(steps, name) + ", which " + who + " can write to";
  return step;
}

Result<std::string> target_of(const Step& link) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlinkat(link.fd.get(), "", text.data(), text.size());
  if (size < 0) return Error::from_errno(errno, "read the link " + link.name);
  return std::string(text.data(), static_cast<std::size_t>(size));
}

/// From "/" to what `path` leads to, the last one; `may_follow` is asked about each symlink.
template <typename MayFollow>
Result<std::vector<Step>> walk(const std::string& path, const MayFollow& may_follow) {
  if (!path.starts_with('/')) return Error(Errc::invalid_input, path + ": not an absolute path");
  std::vector<Step> steps;
  steps.push_back(TRY(enter(steps, "/")));
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
    Step step = TRY(enter(steps, name));
    if (!S_ISLNK(step.st.st_mode)) {
      steps.push_back(std::move(step));
      continue;
    }
    if (++links > kMaxLinks)
      return Error(Errc::invalid_input, path + ": more than 40 symlinks, or a circle of them");
    TRY(may_follow(steps, step));
    const std::string target = TRY(target_of(step));
    if (target.starts_with('/')) steps.erase(steps.begin() + 1, steps.end());
    add(target);
  }
  return steps;
}

Result<std::vector<Step>> walk_ours(const std::string& path) {
  return walk(path, [](const auto&, const Step&) -> Result<void> { return {}; });
}

}  // namespace

void SharedFolders::set(const std::string& owner, std::vector<SharedFolder> folders) {
  const std::lock_guard lock(mutex_);
  if (folders.empty())
    folders_.erase(owner);
  else
    folders_[owner] = std::move(folders);
}

std::vector<SharedFolder> SharedFolders::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<SharedFolder> out;
  for (const auto& [owner, folders] : folders_)
    for (const SharedFolder& folder : folders)
      if (std::none_of(out.begin(), out.end(), [&](const SharedFolder& other) {
            return other.path == folder.path && other.id == folder.id;
          }))
        out.push_back(folder);
  return out;
}

Result<JudgedPath> JudgedPath::of(UniqueFd fd, std::string path) {
  JudgedPath out{std::move(fd), std::move(path), {}};
  if (::fstat(out.fd.get(), &out.st) != 0) return Error::from_errno(errno, "stat " + out.path);
  return out;
}

Result<UniqueFd> JudgedPath::reopen(int flags) const {
  if (is_folder()) return sys::openat(fd.get(), ".", flags | O_DIRECTORY).context(path);
  auto opened = sys::open("/proc/self/fd/" + std::to_string(fd.get()), flags | O_NONBLOCK);
  if (!opened) return Error::from_errno(opened.error().sys_errno(), "open " + path);
  return opened;
}

Result<std::string> JudgedPath::read(std::size_t max_bytes) const {
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, path + " is not a regular file");
  const UniqueFd file = TRY(reopen(O_RDONLY));
  return read_all(file.get(), max_bytes).context(path);
}

struct PathJudge::Known {
  struct Own {
    std::string path;
    std::vector<FileId> way;  ///< itself the last; empty where it does not exist
    std::optional<Place> place;
  };
  struct Shared {
    FileId id;
    std::vector<Place> places;  ///< its own, and of what is mounted below it; none: it was renamed
    const SharedFolder* folder;
  };
  MountTable table;
  std::vector<Own> own;
  std::optional<std::vector<Shared>> shared;  // looked at with the first link

  static Result<Known> read(const std::vector<std::string>& own) {
    Known known;
    known.table = TRY(MountTable::read());
    for (const std::string& path : own) {
      Own& one = known.own.emplace_back();
      one.path = path;
      auto steps = walk_ours(path);
      if (!steps) {
        if (steps.error().code() != Errc::not_found) return std::move(steps).error();
        continue;
      }
      one.path = path_of(*steps);
      for (const Step& step : *steps) one.way.emplace_back(step.st);
      one.place = TRY(known.table.place_of(steps->back().fd.get()));
    }
    return known;
  }

  void look_at(const std::vector<SharedFolder>& folders) {
    if (shared) return;
    shared.emplace();
    for (const SharedFolder& folder : folders) {
      const auto steps = walk_ours(folder.path);
      if (!steps && !folder.id) continue;  // nothing that a container could write to
      Shared& one = shared->emplace_back();
      one.id = folder.id ? *folder.id : FileId(steps->back().st);
      one.folder = &folder;
      if (!steps || one.id != FileId(steps->back().st)) continue;
      if (auto place = table.place_of(steps->back().fd.get()))
        one.places.push_back(std::move(*place));
      // Containers are given the mounts below it too.
      const Place seen{{}, path_of(*steps)};
      for (const MountTable::Mount& mount : table.mounts())
        if (mount.point != seen.path && Place{{}, mount.point}.within(seen))
          one.places.push_back(mount.root);
    }
  }

  /// True where a folder above `place` is `id`, by whichever mount it can be seen. For a folder
  /// whose path is not known any more.
  bool has_above(const Place& place, const FileId& id) const {
    for (const MountTable::Mount& mount : table.mounts()) {
      if (!place.within(mount.root)) continue;
      auto steps = walk_ours(mount.point);
      if (!steps) continue;
      const std::size_t root = mount.root.path == "/" ? 0 : mount.root.path.size();
      for (const std::string& name : split(place.path.substr(root), '/')) {
        if (FileId(steps->back().st) == id) return true;
        if (name.empty()) continue;
        auto step = enter(*steps, name);
        if (!step || !S_ISDIR(step->st.st_mode)) break;
        steps->push_back(std::move(*step));
      }
      if (FileId(steps->back().st) == id) return true;
    }
    return false;
  }

  /// The shared folder that the last of `steps` is or lies in, and who can write there, for people;
  /// empty: none.
  Result<std::string> shared_around(const std::vector<Step>& steps) const {
    if (shared->empty()) return std::string();
    const Place place = TRY(table.place_of(steps.back().fd.get()));
    for (const Shared& one : *shared) {
      std::string where = one.folder->path;
      bool inside = std::any_of(one.places.begin(), one.places.end(),
                                [&](const Place& other) { return place.within(other); });
      for (std::size_t i = 0; i < steps.size() && !inside; ++i) {
        if (FileId(steps[i].st) != one.id) continue;
        inside = true;
        if (!one.places.empty()) continue;
        // It has been renamed, and this is where it is now.
        std::string now;
        for (std::size_t n = 1; n <= i; ++n) now += "/" + steps[n].name;
        where = now + (where.empty() ? "" : " (" + where + " when it was mounted)");
      }
      if (!inside && one.places.empty()) {
        inside = has_above(place, one.id);
        where = "what was mounted as " + where;
      }
      if (inside) return where + ", which " + one.folder->by + " can write to";
    }
    return std::string();
  }
};

PathJudge::PathJudge(const Paths& paths, std::vector<SharedFolder> shared)
    : own_{paths.data(), paths.state(), paths.run()}, shared_(std::move(shared)) {}
PathJudge::PathJudge(PathJudge&&) noexcept = default;
PathJudge& PathJudge::operator=(PathJudge&&) noexcept = default;
PathJudge::~PathJudge() = default;

void PathJudge::add_shared(SharedFolder folder) {
  shared_.push_back(std::move(folder));
  if (known_) known_->shared.reset();
}

Result<JudgedPath> PathJudge::open(const std::string& path, Use use) const {
  if (!known_) known_ = std::make_unique<Known>(TRY(Known::read(own_)));
  const auto may_follow = [&](const std::vector<Step>& steps, const Step& link) -> Result<void> {
    known_->look_at(shared_);
    std::string where = TRY(known_->shared_around(steps));
    if (where.empty() && !steps.back().open_to.empty())
      where = steps.back().open_to;
    else if (where.empty() && (steps.back().st.st_mode & S_ISVTX) != 0 && !trusted(link.st.st_uid))
      where = path_of(steps) + ", where it belongs to uid " + std::to_string(link.st.st_uid);
    if (where.empty()) return {};
    const std::string at = below(steps, link.name);
    return Error(Errc::denied, at + (at == tidy_path(path) ? "" : ", on the way to " + path + ",") +
                                   " is a symlink in " + where + "; it is not followed")
        .with_hint("name the folder or file that is meant itself");
  };
  std::vector<Step> steps = TRY(walk(path, may_follow));
  JudgedPath out;
  out.path = path_of(steps);
  out.st = steps.back().st;

  const auto refuse = [&](const std::string& how, bool around) {
    return Error(Errc::denied, path + (path == out.path ? "" : " (" + out.path + ")") + how +
                                   " where locald keeps its own files")
        .with_hint(around ? "take a folder further down instead" : "take another folder");
  };
  const Place place = TRY(known_->table.place_of(steps.back().fd.get()).context(path));
  for (const Known::Own& own : known_->own) {
    const bool is = !own.way.empty() && FileId(out.st) == own.way.back();
    bool inside = own.place && place.within(*own.place);
    for (const Step& step : steps)
      inside = inside || (!own.way.empty() && FileId(step.st) == own.way.back());
    if (is) return refuse(" is", false);
    if (inside) return refuse(" lies in " + own.path + ",", false);
    if (use != Use::share || !out.is_folder()) continue;
    bool around = own.place && own.place->within(place);
    for (const FileId& id : own.way) around = around || id == FileId(out.st);
    // Mounts below it come along.
    const Place seen{{}, out.path};
    for (const MountTable::Mount& mount : known_->table.mounts())
      around =
          around || (own.place && Place{{}, mount.point}.within(seen) && mount.point != out.path &&
                     (own.place->within(mount.root) || mount.root.within(*own.place)));
    // One that is not there yet is made by its name.
    around = around || Place{{}, own.path}.within(seen);
    if (around) return refuse(" contains " + own.path + ",", true);
  }
  out.fd = std::move(steps.back().fd);
  return out;
}

}  // namespace locald
