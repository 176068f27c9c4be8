#pragma once
#include <functional>
#include <memory>

#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// The server's signals, read on the loop: SIGTERM and SIGINT end it, SIGCHLD reaps what nobody
/// waits for. Signals are blocked in every thread; children get a fresh mask (base/sys/spawn.h).
/// Loop thread only.
class Signals {
 public:
  /// Before there is another thread. `end` is called for each SIGTERM and SIGINT.
  static Result<std::unique_ptr<Signals>> watch(EventLoop& loop, std::function<void()> end);

 private:
  Signals(EventLoop& loop, std::function<void()> end) : loop_(loop), end_(std::move(end)) {}
  void read();
  void reap_soon();

  EventLoop& loop_;
  std::function<void()> end_;
  UniqueFd fd_;
  EventLoop::Handle watch_, timer_;
  bool reaping_ = false;
};

}  // namespace locald::server
