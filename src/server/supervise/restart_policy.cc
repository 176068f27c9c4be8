#include "server/supervise/restart_policy.h"

#include <signal.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "project/units.h"

namespace locald::server {

std::string ExitInfo::text() const {
  const std::string because = reason.empty() ? "" : ": " + reason;
  if (never_ran) return "could not be started" + because;
  if (signal == SIGSYS)
    return "was ended by SIGSYS" + because +
           ": it made a system call that it may not make (in a container the seccomp filter "
           "refuses every one of a 32-bit program)";
  if (signal) return "was ended by " + project::signal_name(*signal) + because;
  if (code) return "exited with code " + std::to_string(*code) + because;
  return reason.empty() ? "ended; its exit status is unknown" : "ended" + because;
}

std::string ExitInfo::hint() const {
  static constexpr std::pair<std::string_view, const char*> kHints[] = {
      {"command not found in PATH", "correct the command, or write the program's whole path"},
      {": no such file", "correct the path of the program"},
      {"cannot be executed: Permission denied", "make it executable: chmod +x FILE"},
      {"was exchanged for something else", "start it again"},
      {": the line ends with CRLF", "write its lines with LF alone: sed -i 's/\\r$//' FILE"},
      {"the interpreter that its first line", "install the interpreter, or correct the line"},
  };
  if (never_ran)
    for (const auto& [words, hint] : kHints)
      if (reason.find(words) != std::string::npos) return hint;
  return {};
}

RestartDecision decide_restart(const project::RestartSpec& policy, const ExitInfo& exit,
                               project::Milliseconds uptime, project::Milliseconds now,
                               RestartHistory& history) {
  // A command that is not there will not be there by itself a moment later; a full disk may be
  // empty.
  if (policy.mode == project::RestartMode::no || (exit.never_ran && !exit.may_pass)) return {};
  if (policy.mode == project::RestartMode::on_failure && exit.success()) return {};
  if (uptime >= kGoodRun) history.failures = 0;
  if (policy.max > 0) {
    if (policy.window.count() > 0) {
      while (!history.times.empty() && history.times.front() <= (now - policy.window).count())
        history.times.pop_front();
      if (history.times.size() >= static_cast<std::size_t>(policy.max)) return {std::nullopt, true};
    } else if (history.failures >= policy.max) {
      return {std::nullopt, true};
    }
  }
  ++history.failures;
  if (policy.max > 0 && policy.window.count() > 0) history.times.push_back(now.count());
  const int doublings = std::min(history.failures - 1, 20);
  const project::Milliseconds longest = exit.never_ran ? kLongestHold : kLongestDelay;
  return {std::min(longest, kFirstDelay * (std::int64_t{1} << doublings)), false};
}

}  // namespace locald::server
