#include "server/supervise/service_state.h"

#include <fmt/format.h>

#include <utility>

#include "project/units.h"

namespace locald::server {
namespace {

/// One overload per event; `s` is changed in place, `todo` filled.
struct Stepper {
  ServiceState s;
  std::vector<Action> todo;
  const project::RestartSpec& policy;

  void go(Phase phase, std::string reason = {}) {
    s.phase = phase;
    s.reason = std::move(reason);
    s.again = s.held_up = s.inherited = false;
  }

  void begin() {
    s.history = {};
    go(Phase::waiting);
    todo.push_back(action::CheckDependencies{});
  }

  void on(const event::Start&) {
    if (s.ended()) return begin();
    if (s.phase == Phase::backoff) {
      s.history.failures = 0;
      todo.push_back(action::CancelTimer{});
      go(Phase::preparing);
      todo.push_back(action::Launch{});
    } else if (s.phase == Phase::stopping) {
      s.again = true;
    }
  }

  void on(const event::DependenciesWait& e) {
    if (s.phase != Phase::waiting) return;
    s.reason = e.reason;
    s.held_up = e.held_up;
  }

  void on(const event::DependenciesMet&) {
    if (s.phase != Phase::waiting) return;
    go(Phase::preparing);
    todo.push_back(action::Launch{});
  }

  void on(const event::DependencyImpossible& e) {
    if (s.phase != Phase::waiting) return;
    s.exit.reset();
    go(Phase::failed, e.reason);
    s.inherited = true;
  }

  void on(const event::Launched&) {
    if (s.phase == Phase::preparing) go(Phase::starting);
    // The cancellation came too late: what was started is stopped like any other.
    else if (s.phase == Phase::stopping)
      todo.push_back(action::StopProcess{});
  }

  void on(const event::LaunchFailed& e) {
    if (s.phase == Phase::stopping) return stopped();
    if (s.phase != Phase::preparing) return;
    s.exit.reset();  // of an earlier life: it explains nothing of this one
    const std::string hint = e.hint.empty() ? "" : "\n  hint: " + e.hint;
    ExitInfo start;
    start.never_ran = true;
    start.may_pass = e.may_pass;
    try_again(start, e.reason, hint, project::Milliseconds(0), e.now);
  }

  /// After an end, or a start that failed: what the policy says.
  void try_again(const ExitInfo& exit, const std::string& why, const std::string& hint,
                 project::Milliseconds uptime, project::Milliseconds now) {
    const RestartDecision decision = decide_restart(policy, exit, uptime, now, s.history);
    const bool held_up = exit.never_ran;
    if (decision.gave_up) {
      const std::string tries = held_up ? fmt::format("{} tries", s.history.failures + 1)
                                        : fmt::format("{} restarts", s.history.restarts);
      return go(Phase::failed, fmt::format("{}; given up after {}{}", why, tries, hint));
    }
    if (!decision.delay && held_up) return go(Phase::failed, why + hint);
    if (!decision.delay) {
      const bool plain = exit.success() && exit.reason.empty();
      return go(Phase::exited, plain ? std::string() : why);
    }
    const std::string delay = project::human_duration(*decision.delay);
    go(Phase::backoff,
       held_up ? fmt::format("{}; next try after {}{}", why, delay, hint)
               : fmt::format("{}; restart {} after {}", why, s.history.restarts + 1, delay));
    s.held_up = held_up;
    todo.push_back(action::ArmTimer{*decision.delay});
  }

  void on(const event::Started&) {
    if (s.phase != Phase::starting) return;
    s.exit.reset();
    go(Phase::running);
    todo.push_back(action::BeginHealth{});
  }

  void on(const event::Exited& e) {
    if (s.phase == Phase::stopping) {
      s.exit = e.exit;
      return stopped();
    }
    if (s.phase != Phase::starting && s.phase != Phase::running) return;
    if (s.phase == Phase::running) todo.push_back(action::EndHealth{});
    s.exit = e.exit;
    const std::string hint = e.exit.hint();
    try_again(e.exit, e.exit.text(), hint.empty() ? "" : "\n  hint: " + hint, e.uptime, e.now);
  }

  void on(const event::TimerFired&) {
    if (s.phase != Phase::backoff) return;
    if (!s.held_up) ++s.history.restarts;  // else it is still the same start
    go(Phase::preparing);
    todo.push_back(action::Launch{});
  }

  void on(const event::Stop&) { stop(/*kill=*/false); }
  void on(const event::Kill&) { stop(/*kill=*/true); }

  void on(const event::Restart&) {
    if (!s.busy()) {
      if (s.phase == Phase::waiting) return;
      if (s.phase == Phase::backoff) todo.push_back(action::CancelTimer{});
      return begin();
    }
    if (s.phase != Phase::stopping) stop(/*kill=*/false);
    s.again = true;
  }

  void on(const event::Adopted& e) {
    if (s.phase != Phase::stopped) return;
    s.exit.reset();
    go(e.running ? Phase::running : Phase::starting);
    if (e.running) todo.push_back(action::BeginHealth{});
  }

  void stop(bool kill) {
    switch (s.phase) {
      case Phase::stopped:
      case Phase::waiting:
      case Phase::exited:
      case Phase::failed:
        return go(Phase::stopped);
      case Phase::backoff:
        todo.push_back(action::CancelTimer{});
        return go(Phase::stopped);
      case Phase::preparing:
        todo.push_back(action::CancelLaunch{});
        return go(Phase::stopping);
      case Phase::running:
        todo.push_back(action::EndHealth{});
        [[fallthrough]];
      case Phase::starting:
        if (kill)
          todo.push_back(action::KillProcess{});
        else
          todo.push_back(action::StopProcess{});
        return go(Phase::stopping);
      case Phase::stopping:
        s.again = false;
        if (kill) todo.push_back(action::KillProcess{});
        return;
    }
  }

  void stopped() {
    if (s.again)
      begin();
    else
      go(Phase::stopped);
  }
};

}  // namespace

std::string_view to_string(Phase phase) noexcept {
  switch (phase) {
    case Phase::stopped:
      return "stopped";
    case Phase::waiting:
      return "waiting";
    case Phase::preparing:
      return "preparing";
    case Phase::starting:
      return "starting";
    case Phase::running:
      return "running";
    case Phase::stopping:
      return "stopping";
    case Phase::backoff:
      return "crash-loop";
    case Phase::exited:
      return "exited";
    case Phase::failed:
      return "failed";
  }
  return "stopped";
}

Step step(ServiceState state, const Event& event, const project::RestartSpec& policy) {
  Stepper stepper{std::move(state), {}, policy};
  std::visit([&](const auto& e) { stepper.on(e); }, event);
  return {std::move(stepper.s), std::move(stepper.todo)};
}

}  // namespace locald::server
