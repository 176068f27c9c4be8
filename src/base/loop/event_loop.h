#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace locald {

/// The server's one loop: descriptors, timers and posted work, all called back
/// on the thread that runs it. Boost.Asio is beneath, seen by the .cc alone.
///
/// Thread rules: post() and stop() may be called from any thread; all else only
/// from the loop's own thread (or before run()).
class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;  ///< CLOCK_MONOTONIC: clock jumps do not move timers

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Holds a registration; destroying it ends it, at once and for good: no
  /// callback runs afterwards. Must not outlive the loop.
  class Handle {
   public:
    Handle() = default;
    ~Handle();
    Handle(Handle&&) noexcept;
    Handle& operator=(Handle&&) noexcept;
    explicit operator bool() const noexcept { return state_ != nullptr; }
    void reset();

   private:
    friend class EventLoop;
    struct State;
    explicit Handle(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
  };

  /// Calls `ready` each time `fd` becomes readable (or hung up), until the
  /// handle goes. Level-triggered: read what is there, or be called again.
  /// `fd` is borrowed and must stay open as long as the handle lives.
  [[nodiscard]] Handle watch_readable(int fd, std::function<void()> ready);
  [[nodiscard]] Handle watch_writable(int fd, std::function<void()> ready);

  /// Calls `fire` once after `delay`.
  [[nodiscard]] Handle after(Clock::duration delay, std::function<void()> fire);

  /// Runs `work` on the loop's thread, soon. Thread-safe.
  void post(std::function<void()> work);

  void run();   ///< until stop()
  void stop();  ///< thread-safe

  boost::asio::io_context& io();  ///< for the HTTP code, which lives in .cc files too

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace locald
