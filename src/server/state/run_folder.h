#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "base/loop/event_loop.h"
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// Notices that something of the server's own folders was deleted under it, and has it written
/// back: a logout ends the run folder of a user who does not linger, cleaners look through /tmp. By
/// inotify; only while that cannot be written back it is tried again, less and less often. Somebody
/// who wants a server and finds its lock taken makes it look at once. Loop thread only.
class RunFolder {
 public:
  /// @param write_back  Makes again what is missing, if anything is; some stat(2)s where not.
  RunFolder(EventLoop& loop, const Paths& paths, std::function<Result<void>()> write_back,
            std::function<void(const std::string&)> log);

 private:
  void watch();
  void on_event();
  void look();

  EventLoop& loop_;
  const Paths& paths_;
  std::function<Result<void>()> write_back_;
  std::function<void(const std::string&)> log_;
  UniqueFd inotify_;
  int state_watch_ = -1;
  std::chrono::milliseconds pause_{0};
  EventLoop::Handle watch_, timer_;
};

/// Gives the server's log its name again where it was deleted or moved away under the server: from
/// here on stdout and stderr are written to `path`. Nothing where they never led to a log of that
/// name, or where it cannot be opened.
void renew_log(const std::string& path);

}  // namespace locald::server
