#include "server/state/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/sys/file_id.h"
#include "base/sys/sys.h"

namespace locald::server {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kSettle{50};  // who deletes a folder deletes much at once
constexpr milliseconds kFirstPause{1000}, kLongestPause{30'000};
constexpr std::uint32_t kGone =
    IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

void renew_log(const std::string& path) {
  constexpr std::string_view kDeleted = " (deleted)";
  const std::string name = path.substr(path.rfind('/'));
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    std::array<char, PATH_MAX> link{};
    const ssize_t n =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link.data(), link.size());
    std::string_view leads_to(link.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (leads_to.ends_with(kDeleted)) leads_to.remove_suffix(kDeleted.size());
    const auto is = FileId::of(fd);
    if (!leads_to.ends_with(name) || !is || is == FileId::of(AT_FDCWD, path.c_str())) continue;
    const auto log = sys::open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (log) ::dup2(log->get(), fd);
  }
}

RunFolder::RunFolder(EventLoop& loop, const Paths& paths, std::function<Result<void>()> write_back,
                     std::function<void(const std::string&)> log)
    : loop_(loop),
      paths_(paths),
      write_back_(std::move(write_back)),
      log_(std::move(log)),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) {
    log_(
        fmt::format("a deleted run folder will not be noticed: inotify: {}; see "
                    "fs.inotify.max_user_instances",
                    std::strerror(errno)));
    return;
  }
  watch();
  watch_ = loop_.watch_readable(inotify_.get(), [this] { on_event(); });
}

/// A folder that is watched already is not watched twice.
void RunFolder::watch() {
  if (!inotify_) return;
  for (const std::string& folder :
       {paths_.run(), paths_.run_projects(), paths_.instances(), paths_.data(), paths_.images()})
    (void)::inotify_add_watch(inotify_.get(), folder.c_str(), kGone);
  // server.lock is opened for writing by a client that wants a server.
  state_watch_ =
      ::inotify_add_watch(inotify_.get(), paths_.state().c_str(), kGone | IN_CLOSE_WRITE);
}

void RunFolder::on_event() {
  alignas(inotify_event) char buffer[8192];
  const std::string lock = paths_.state_lock().substr(paths_.state().size() + 1);
  bool gone = false;
  ssize_t n = 0;
  while ((n = ::read(inotify_.get(), buffer, sizeof buffer)) > 0)
    for (ssize_t at = 0; at < n;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      const char* name = buffer + at + sizeof event;
      const bool written = (event.mask & IN_CLOSE_WRITE) != 0;
      // Names with a dot are temporary files, which become others.
      if (event.len == 0 || (written ? std::string_view(name) == lock : *name != '.')) gone = true;
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  if (gone && (!timer_ || pause_.count() != 0)) {
    pause_ = milliseconds(0);
    timer_ = loop_.after(kSettle, [this] { look(); });
  }
}

void RunFolder::look() {
  timer_.reset();
  const auto done = write_back_();
  watch();
  if (done) {
    if (pause_.count() != 0) log_("the server's folders are whole again");
    pause_ = milliseconds(0);
    return;
  }
  if (pause_.count() == 0)
    log_("the server's folders cannot be written back: " + done.error().text());
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  timer_ = loop_.after(pause_, [this] { look(); });
}

}  // namespace locald::server
