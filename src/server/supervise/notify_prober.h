#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop/event_loop.h"
#include "base/paths.h"
#include "base/sys/unique_fd.h"
#include "server/supervise/health.h"

namespace locald::server {

/// The socket that a service finds in NOTIFY_SOCKET (sd_notify(3)), made before it starts. An old
/// one is replaced. ProcessRuntime::clean removes it.
Result<UniqueFd> bind_notify_socket(const Paths& paths, const std::string& instance);
/// Writes down that it has said READY=1, for the next server.
void mark_ready(const Paths& paths, const std::string& instance);
/// Socket and marker, of an instance that nobody cleans: it was never started.
void remove_notify_socket(const Paths& paths, const std::string& instance);
/// Those of instances that there are none of: their server was killed between two steps. While
/// nothing is being started.
void remove_stale_notify_sockets(const Paths& paths);

/// "READY=1" is one of the lines of the message.
bool says_ready(std::string_view message) noexcept;

/// Healthy once the service has said READY=1. That is remembered beside the
/// socket (NAME.ready), since it is said only once and the server may be another one by then.
class NotifyProber final : public Prober {
 public:
  /// @param socket  gives the socket (borrowed), made where it is not there yet; asked at each
  /// probe
  NotifyProber(EventLoop& loop, const Paths& paths, const std::string& instance,
               std::function<Result<int>()> socket);

  void start(project::Milliseconds timeout, Done done) override;
  void cancel() override;
  bool once() const override { return true; }

 private:
  void read(int socket);
  void finish(net::Verdict verdict);

  EventLoop& loop_;
  std::string marker_;
  std::function<Result<int>()> socket_;
  bool ready_ = false;
  Done done_;
  EventLoop::Handle watch_, timer_;
};

}  // namespace locald::server
