#include "base/sys/path_judge.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/own_folders.h"
#include "base/sys/path_walk.h"
#include "base/sys/sys.h"

namespace locald {

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
  struct Shared {
    FileId id;
    std::vector<Place> places;  ///< its own, and of what is mounted below it; none: it was renamed
    const SharedFolder* folder;
  };
  std::shared_ptr<const Ground> ground;
  bool fresh = false;                         // read for this judge, not an earlier one
  std::optional<std::vector<Shared>> shared;  // looked at with the first link

  Result<void> refresh(const std::vector<std::string>& own) {
    if (fresh) return {};
    ground = TRY(Ground::read(own));
    fresh = true;
    return {};
  }

  void look_at(const std::vector<SharedFolder>& folders) {
    if (shared) return;
    shared.emplace();
    for (const SharedFolder& folder : folders) {
      const auto steps = walk_path(folder.path);
      if (!steps && !folder.id) continue;  // nothing that a container could write to
      Shared& one = shared->emplace_back();
      one.id = folder.id ? *folder.id : FileId(steps->back().st);
      one.folder = &folder;
      if (!steps || one.id != FileId(steps->back().st)) continue;
      if (auto place = ground->table.place_of(steps->back().fd.get()))
        one.places.push_back(std::move(*place));
      // Containers are given the mounts below it too.
      const Place seen{{}, path_of(*steps)};
      for (const MountTable::Mount& mount : ground->table.mounts())
        if (mount.point != seen.path && Place{{}, mount.point}.within(seen))
          one.places.push_back(mount.root);
    }
  }

  /// True where a folder above `place` is `id`, by whichever mount it can be seen. For a folder
  /// whose path is not known any more.
  bool has_above(const Place& place, const FileId& id) const {
    for (const MountTable::Mount& mount : ground->table.mounts()) {
      if (!place.within(mount.root)) continue;
      auto steps = walk_path(mount.point);
      if (!steps) continue;
      const std::size_t root = mount.root.path == "/" ? 0 : mount.root.path.size();
      for (const std::string& name : split(place.path.substr(root), '/')) {
        if (FileId(steps->back().st) == id) return true;
        if (name.empty()) continue;
        auto step = enter_path(*steps, name);
        if (!step || !S_ISDIR(step->st.st_mode)) break;
        steps->push_back(std::move(*step));
      }
      if (FileId(steps->back().st) == id) return true;
    }
    return false;
  }

  /// The shared folder that the last of `steps` is or lies in, and who can write there, for people;
  /// empty: none.
  Result<std::string> shared_around(const std::vector<PathStep>& steps) const {
    if (shared->empty()) return std::string();
    const Place place = TRY(ground->table.place_of(steps.back().fd.get()));
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
  if (!known_) known_ = std::make_unique<Known>(TRY(Ground::last(own_)));
  // What is given to others, and links: the names of mounts count.
  if (use == Use::share) TRY(known_->refresh(own_));
  const auto may_follow = [&](const std::vector<PathStep>& steps,
                              const PathStep& link) -> Result<void> {
    TRY(known_->refresh(own_));
    known_->look_at(shared_);
    std::string where = TRY(known_->shared_around(steps));
    if (where.empty() && !steps.back().open_to.empty())
      where = steps.back().open_to;
    else if (where.empty() && (steps.back().st.st_mode & S_ISVTX) != 0 &&
             !is_trusted(link.st.st_uid))
      where = path_of(steps) + ", where it belongs to uid " + std::to_string(link.st.st_uid);
    if (where.empty()) return {};
    const std::string at = path_below(steps, link.name);
    return Error(Errc::denied, at + (at == tidy_path(path) ? "" : ", on the way to " + path + ",") +
                                   " is a symlink in " + where + "; it is not followed")
        .with_hint("name the folder or file that is meant itself");
  };
  std::vector<PathStep> steps = TRY(walk_path(path, may_follow));
  JudgedPath out;
  out.path = path_of(steps);
  out.st = steps.back().st;

  const auto refuse = [&](const std::string& how, bool around) {
    return Error(Errc::denied, path + (path == out.path ? "" : " (" + out.path + ")") + how +
                                   " where locald keeps its own files")
        .with_hint(around ? "take a folder further down instead" : "take another folder");
  };
  auto place_now = known_->ground->table.place_of(steps.back().fd.get());
  if (!place_now && !known_->fresh) {
    TRY(known_->refresh(own_));
    place_now = known_->ground->table.place_of(steps.back().fd.get());
  }
  const Place place = TRY(std::move(place_now).context(path));
  for (const OwnFolder& own : known_->ground->own) {
    const bool is = !own.way.empty() && FileId(out.st) == own.way.back();
    bool inside = own.place && place.within(*own.place);
    for (const PathStep& step : steps)
      inside = inside || (!own.way.empty() && FileId(step.st) == own.way.back());
    if (is) return refuse(" is", false);
    if (inside) return refuse(" lies in " + own.path + ",", false);
    if (use != Use::share || !out.is_folder()) continue;
    bool around = own.place && own.place->within(place);
    for (const FileId& id : own.way) around = around || id == FileId(out.st);
    // Mounts below it come along.
    const Place seen{{}, out.path};
    for (const MountTable::Mount& mount : known_->ground->table.mounts())
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
