#pragma once
#include <functional>
#include <map>
#include <optional>

#include "base/loop/event_loop.h"

namespace locald {

/// For tests: while one lives, timers that this thread sets (EventLoop::after) are due when
/// advance() says so, in their order, and never by the clock. What they call is called from
/// within advance().
class ManualTime {
 public:
  using Duration = EventLoop::Clock::duration;
  ManualTime();
  ~ManualTime();
  ManualTime(const ManualTime&) = delete;
  ManualTime& operator=(const ManualTime&) = delete;

  void advance(Duration time);
  std::optional<Duration> next() const;  ///< until the next timer, which may have been cancelled

  /// EventLoop's: `fire` is called after `delay`.
  static bool take(Duration delay, std::function<void()> fire);  ///< false where none lives

 private:
  Duration now_{0};
  std::multimap<Duration, std::function<void()>> timers_;
};

}  // namespace locald
