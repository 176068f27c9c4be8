#include "server/projects/file_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

constexpr std::uint32_t kMask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

Error no_more(const std::string& what, const char* limit) {
  return Error(Errc::unavailable, what)
      .with_hint(fmt::format("raise it: sysctl {}=…, or watch fewer folders with patterns such as "
                             "\"src/**\"",
                             limit));
}

}  // namespace

/// What is found by a look at folders.
struct FileWatch::Scan {
  std::map<int, Folder> folders;
  std::vector<std::string> files;  // that are watched
  std::optional<Error> trouble;
};

struct FileWatch::Shared {
  std::string dir;
  std::vector<cnb::PathFilter> filters;
  UniqueFd inotify;

  bool takes(const std::string& file) const {
    return std::any_of(filters.begin(), filters.end(), [&](const cnb::PathFilter& filter) {
      return filter.keeps(file, /*is_dir=*/false);
    });
  }
  bool may_hold(const std::string& folder) const {
    return std::any_of(filters.begin(), filters.end(),
                       [&](const cnb::PathFilter& filter) { return filter.may_hold(folder); });
  }

  /// Watches `folders` and all below them that may hold what is watched.
  Scan scan(std::vector<std::string> folders, std::size_t known,
            const std::stop_token& stop) const {
    Scan out;
    while (!folders.empty() && !stop.stop_requested()) {
      const std::string folder = std::move(folders.back());
      folders.pop_back();
      if (!folder.empty() && !may_hold(folder)) continue;
      const auto fd =
          sys::open(joined(dir, folder), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
      if (!fd) {
        // One that went away, or a link, holds nothing; the folder itself has to be there.
        if (folder.empty()) out.trouble = fd.error();
        continue;
      }
      if (known + out.folders.size() >= kMaxFolders) {
        out.trouble =
            Error(Errc::unavailable, fmt::format("there are more than {} folders", kMaxFolders))
                .with_hint("watch fewer with patterns such as \"src/**\"");
        return out;
      }
      // By the descriptor: what has the name by now may be another folder.
      const int wd = ::inotify_add_watch(
          inotify.get(), ("/proc/self/fd/" + std::to_string(fd->get())).c_str(), kMask);
      if (wd < 0) {
        if (errno == ENOSPC)
          out.trouble =
              no_more("the kernel watches no more folders", "fs.inotify.max_user_watches");
        else
          out.trouble = Error::from_errno(errno, "watch " + joined(dir, folder));
        return out;
      }
      Folder& known_folder = out.folders[wd] = {folder, false};
      (void)list_dir(fd->get(), [&](const std::string& name, unsigned char type) -> Result<void> {
        const std::string path = joined(folder, name);
        if (type == DT_DIR) {
          folders.push_back(path);
        } else if (takes(path)) {
          known_folder.files = true;
          out.files.push_back(path);
        }
        return {};
      });
    }
    return out;
  }
};

const std::vector<std::string>& FileWatch::ignored() {
  static const std::vector<std::string> patterns{
      ".git", "node_modules/", "__pycache__/", ".venv/", "*~", "*.swp", "*.swx", ".#*", "4913"};
  return patterns;
}

FileWatch::FileWatch(EventLoop& loop, JobPool& jobs, std::string dir,
                     const std::vector<project::WatchConfig>& what, Events events)
    : loop_(loop), jobs_(jobs), events_(std::move(events)), shared_(std::make_shared<Shared>()) {
  shared_->dir = std::move(dir);
  for (const project::WatchConfig& one : what) {
    std::vector<std::string> without = ignored();
    without.insert(without.end(), one.ignore.begin(), one.ignore.end());
    shared_->filters.push_back(cnb::PathFilter::include(one.paths).without(without));
  }
  shared_->inotify = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!shared_->inotify) {
    const Error error = errno == EMFILE ? no_more("the kernel has no more watches for this user",
                                                  "fs.inotify.max_user_instances")
                                        : Error::from_errno(errno, "inotify");
    loop_.post([this, alive = alive_, error] {
      if (*alive) fail(error);
    });
    return;
  }
  scan({""}, /*first=*/true);
}

FileWatch::~FileWatch() {
  *alive_ = false;
  job_.cancel();
}

/// Events are read again when it has ended: until then they would name folders that are not known.
void FileWatch::scan(std::vector<std::string> folders, bool first) {
  readable_.reset();
  job_ = jobs_.run<Scan>(
      "watch " + shared_->dir,
      [shared = shared_, folders = std::move(folders), known = folders_.size()](
          const std::stop_token& stop) { return shared->scan(folders, known, stop); },
      [this, alive = alive_, first](const Scan& found) {
        if (*alive) take(found, first);
      });
}

void FileWatch::take(const Scan& found, bool first) {
  for (const auto& [wd, folder] : found.folders) folders_[wd] = folder;
  if (!first)
    for (const std::string& file : found.files) note(file);
  if (found.trouble) fail(*found.trouble);
  readable_ = loop_.watch_readable(shared_->inotify.get(), [this] { read_events(); });
}

void FileWatch::read_events() {
  alignas(inotify_event) char buffer[16384];
  const ssize_t n = ::read(shared_->inotify.get(), buffer, sizeof buffer);
  for (ssize_t at = 0; at < n;) {
    inotify_event event{};
    std::memcpy(&event, buffer + at, sizeof event);
    const char* name = buffer + at + sizeof event;
    on_event(event.wd, event.mask, event.len == 0 ? std::string() : std::string(name));
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  if (!new_folders_.empty()) scan(std::exchange(new_folders_, {}), /*first=*/false);
}

void FileWatch::on_event(int wd, std::uint32_t mask, const std::string& name) {
  if ((mask & IN_Q_OVERFLOW) != 0) {  // whatever it was, it was much
    new_folders_.emplace_back();
    return;
  }
  const auto folder = folders_.find(wd);
  if (folder == folders_.end()) return;
  if ((mask & IN_IGNORED) != 0) {
    folders_.erase(folder);
    return;
  }
  if ((mask & IN_DELETE_SELF) != 0) {
    if (folder->second.path.empty())
      fail(Error(Errc::not_found, shared_->dir + " was deleted")
               .with_hint("restart the service once it is there again"));
    return;
  }
  const std::string path = joined(folder->second.path, name);
  if ((mask & IN_ISDIR) == 0) {
    if (!shared_->takes(path)) return;
    folder->second.files = true;
    note(path);
    return;
  }
  if (!shared_->may_hold(path)) return;
  if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) new_folders_.push_back(path);
  if ((mask & IN_MOVED_FROM) != 0 && forget_below(path)) note(path);
}

/// A folder that was moved away keeps its watches, which tell of it by its old name.
/// @return whether files that are watched went with it.
bool FileWatch::forget_below(const std::string& folder) {
  bool files = false;
  std::erase_if(folders_, [&](const auto& entry) {
    const std::string& path = entry.second.path;
    if (path != folder && !path.starts_with(folder + "/")) return false;
    ::inotify_rm_watch(shared_->inotify.get(), entry.first);
    files = files || entry.second.files;
    return true;
  });
  return files;
}

void FileWatch::note(const std::string& path) {
  const auto now = EventLoop::Clock::now();
  if (changed_.empty()) first_change_ = now;
  changed_.insert(path);
  const auto latest = first_change_ + kLongest;
  timer_ =
      loop_.after(std::max(EventLoop::Clock::duration(0), std::min(now + kQuiet, latest) - now),
                  [this] { tell(); });
}

void FileWatch::tell() {
  const auto changed = std::exchange(changed_, {});
  timer_.reset();
  if (!changed.empty()) events_.changed(changed);
}

void FileWatch::fail(const Error& error) {
  if (!std::exchange(failed_, true)) events_.trouble(error);
}

}  // namespace locald::server
