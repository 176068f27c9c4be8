#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "project/project_spec.h"

namespace locald::server {

/// How a process ended, as the state machine sees it.
struct ExitInfo {
  std::optional<int> code, signal;  ///< both empty: unknown
  bool never_ran = false;           ///< `code` is then 125, 126 or 127
  bool may_pass = false;            ///< never_ran, for a reason that passes by itself
  std::string reason;               ///< why it never ran, or why nothing is known

  bool success() const noexcept { return code == 0; }
  /// "exited with code 3", "was ended by SIGSEGV", "could not be started: …".
  std::string text() const;
  /// The next step, where the command never ran; may be empty.
  std::string hint() const;
};

/// What happened so far, and what comes next: pure, `now` comes from outside.
struct RestartHistory {
  int failures = 0;                ///< ends in a row; begins at 0 after kGoodRun up
  int restarts = 0;                ///< since the service was brought up
  std::deque<std::int64_t> times;  ///< ms; restarts within the policy's window
};

inline constexpr project::Milliseconds kFirstDelay{100}, kLongestDelay{60000};
/// Between starts that failed: such a try costs little, and what it waits for (a port, a registry)
/// comes at a moment of its own. Linux keeps a port in TIME_WAIT for 60 s.
inline constexpr project::Milliseconds kLongestHold{10000};
inline constexpr project::Milliseconds kGoodRun{10000};

/// Decides after an end, or after a start that failed: nullopt for "stays ended", else the delay
/// before the next start (100 ms, doubling up to 1 min; to 10 s after a start that failed). What
/// never ran is tried again by R-MAY-PASS alone. `gave_up` tells that only `max`
/// stood in the way.
struct RestartDecision {
  std::optional<project::Milliseconds> delay;
  bool gave_up = false;
};
RestartDecision decide_restart(const project::RestartSpec& policy, const ExitInfo& exit,
                               project::Milliseconds uptime, project::Milliseconds now,
                               RestartHistory& history);

}  // namespace locald::server
