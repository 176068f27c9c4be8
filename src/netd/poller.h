#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/sys/unique_fd.h"

namespace locald::netd {

/// The one loop of a process: descriptors (epoll(7), level-triggered) and timers. One thread.
/// Sleeps until something happens. A callback may end any watch or timer, its own too: none that
/// was ended is called afterwards.
class Poller {
 public:
  using Clock = std::chrono::steady_clock;
  using Ready = std::function<void(std::uint32_t events)>;  ///< EPOLLIN, …

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// What is registered, until it goes. Must not outlive the poller, nor the descriptor.
  class Watch {
   public:
    Watch() = default;
    ~Watch() { reset(); }
    Watch(Watch&& other) noexcept { *this = std::move(other); }
    Watch& operator=(Watch&& other) noexcept;
    /// Other events from now on; 0: none but errors and hang-ups.
    void want(std::uint32_t events);
    void reset();
    explicit operator bool() const noexcept { return poller_ != nullptr; }

   private:
    friend class Poller;
    Poller* poller_ = nullptr;
    int fd_ = -1;
    std::uint32_t slot_ = 0;
    std::uint32_t events_ = 0;
  };
  /// `fd` is borrowed.
  [[nodiscard]] Watch watch(int fd, std::uint32_t events, Ready ready);

  class Timer {
   public:
    Timer() = default;
    ~Timer() { reset(); }
    Timer(Timer&& other) noexcept { *this = std::move(other); }
    Timer& operator=(Timer&& other) noexcept;
    void reset();
    explicit operator bool() const noexcept { return poller_ != nullptr; }

   private:
    friend class Poller;
    Poller* poller_ = nullptr;
    std::pair<Clock::time_point, std::uint64_t> due_;
  };
  /// Once.
  [[nodiscard]] Timer after(std::chrono::milliseconds delay, std::function<void()> fire);

  /// Calls `quiet` whenever a second has gone by without anything, once until the next thing.
  void when_quiet(std::function<void()> quiet) { quiet_ = std::move(quiet); }

  void run();  ///< until stop()
  void stop() { running_ = false; }
  /// One round: waits at most `limit`, calls what is ready.
  void turn(std::chrono::milliseconds limit);

 private:
  struct Slot {
    std::uint32_t generation = 0;
    std::shared_ptr<Ready> ready;
  };
  int wait_ms(std::chrono::milliseconds limit) const;
  bool fire_due();

  UniqueFd epoll_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  /// By when they are due; the number tells those of one moment apart.
  std::map<std::pair<Clock::time_point, std::uint64_t>, std::function<void()>> timers_;
  std::uint64_t next_timer_ = 1;
  bool running_ = true;
  bool active_ = true;  ///< since `quiet_` was called
  std::function<void()> quiet_;
};

}  // namespace locald::netd
