#include "base/sys/own_folders.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

#include "base/sys/path_walk.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

/// True where `asked` leads to what it led to, over the same folders.
bool is_unchanged(const std::string& asked, const OwnFolder& known) {
  const auto now = FileId::of(AT_FDCWD, asked.c_str());
  if (known.way.empty()) return !now && errno == ENOENT;
  if (!now || *now != known.way.back()) return false;
  std::size_t end = 0;
  for (const FileId& id : known.way) {
    const std::string folder = end == 0 ? "/" : known.path.substr(0, end);
    if (FileId::of(AT_FDCWD, folder.c_str(), AT_SYMLINK_NOFOLLOW) != id) return false;
    end = known.path.find('/', end + 1);
  }
  return true;
}

Result<Ground> read_ground(const std::vector<std::string>& own) {
  Ground out;
  out.table = TRY(MountTable::read());
  for (const std::string& path : own) {
    OwnFolder& one = out.own.emplace_back();
    one.path = path;
    auto steps = walk_path(path);
    if (!steps) {
      if (steps.error().code() != Errc::not_found) return std::move(steps).error();
      continue;
    }
    one.path = path_of(*steps);
    for (const PathStep& step : *steps) one.way.emplace_back(step.st);
    one.place = TRY(out.table.place_of(steps->back().fd.get()));
  }
  return out;
}

/// The last one that was read. Its own mutex guards it.
class LastGround {
 public:
  std::shared_ptr<const Ground> find(const std::vector<std::string>& own) {
    // A child has the descriptor of its parent's mounts, and may have others.
    if (ground_ == nullptr || own != own_ || pid_ != ::getpid() || mounts_have_changed()) return {};
    for (std::size_t i = 0; i < own.size(); ++i)
      if (!is_unchanged(own[i], ground_->own[i])) return {};
    return ground_;
  }

  Result<std::shared_ptr<const Ground>> read(const std::vector<std::string>& own) {
    ground_ = nullptr;
    // Before the table is read: what changes afterwards is told.
    auto mounts = sys::open("/proc/self/mountinfo", O_RDONLY);
    auto ground = std::make_shared<const Ground>(TRY(read_ground(own)));
    if (mounts) {
      mounts_ = std::move(*mounts);
      ground_ = ground;
      own_ = own;
      pid_ = ::getpid();
    }
    return ground;
  }

  std::mutex mutex;

 private:
  /// Since it was opened, or asked last (proc(5), /proc/PID/mounts).
  bool mounts_have_changed() {
    pollfd look{mounts_.get(), POLLPRI, 0};
    return ::poll(&look, 1, 0) != 0;
  }

  UniqueFd mounts_;
  pid_t pid_ = 0;
  std::vector<std::string> own_;
  std::shared_ptr<const Ground> ground_;
};

LastGround& last_ground() {
  static LastGround last;
  return last;
}

}  // namespace

Result<std::shared_ptr<const Ground>> Ground::read(const std::vector<std::string>& own) {
  const std::lock_guard lock(last_ground().mutex);
  return last_ground().read(own);
}

Result<std::shared_ptr<const Ground>> Ground::last(const std::vector<std::string>& own) {
  const std::lock_guard lock(last_ground().mutex);
  if (auto known = last_ground().find(own)) return known;
  return last_ground().read(own);
}

}  // namespace locald
