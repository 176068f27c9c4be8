#include "shim/instance_state.h"

#include <algorithm>
#include <csignal>

namespace locald::shim {
namespace {

/// A step in the making.
struct Stepper : Step {
  explicit Stepper(const InstanceState& before) : Step{before} {}

  void add(Action::Type type, int number = 0) { actions[count++] = {type, number}; }

  void kill() {
    state.phase = Phase::killing;
    add(Action::Type::kill_tree);
  }

  void drain(std::int64_t now_ms) {
    state.phase = Phase::draining;
    state.deadline_ms = state.hold ? now_ms + kHoldLimitMs : 0;
  }

  void report() {
    state.phase = Phase::done;
    state.deadline_ms = 0;
    add(Action::Type::report);
  }
};

}  // namespace

Step step(const InstanceState& state, const event::Failed& event) {
  Stepper next(state);
  if (state.phase != Phase::starting) return next;
  next.state.main_over = next.state.never_ran = true;
  // The client that it was started for is still to attach, and hears it from us.
  if (state.hold)
    next.drain(event.now_ms);
  else
    next.report();
  return next;
}

Step step(const InstanceState& state, const event::Spawned&) {
  Stepper next(state);
  if (state.phase != Phase::starting) return next;
  next.state.phase = Phase::running;
  next.state.spawned = true;
  return next;
}

Step step(const InstanceState& state, const event::Executed&) {
  Stepper next(state);
  if (!state.spawned || state.hears || state.phase == Phase::done) return next;
  next.state.hears = true;
  next.add(Action::Type::announce);
  if (state.stopping && state.phase == Phase::running)  // asked for before
    next.add(Action::Type::signal_main, state.stop_signal);
  return next;
}

Step step(const InstanceState& state, const event::NotExecuted&) {
  Stepper next(state);
  if (!state.spawned || state.hears || state.phase == Phase::done) return next;
  next.state.hears = next.state.never_ran = true;
  return next;
}

Step step(const InstanceState& state, const event::MainEnded& event) {
  Stepper next(state);
  if (!state.spawned || state.main_over || state.phase == Phase::done) return next;
  next.state.main_over = true;
  next.state.never_ran = state.never_ran || event.never_executed;
  if (state.phase != Phase::running && state.phase != Phase::killed) return next;
  if (state.rest == Rest::left) {
    next.drain(event.now_ms);
  } else if (state.rest == Rest::asked && state.stopping && state.stop_signal != SIGKILL &&
             event.now_ms < state.deadline_ms) {
    // sh -c 'a | b' dies at once and leaves a and b, which have heard nothing yet: they get what is
    // left of the time.
    next.state.phase = Phase::ending;
    next.add(Action::Type::signal_tree, state.stop_signal);
  } else {
    next.kill();
  }
  return next;
}

Step step(const InstanceState& state, const event::Stop& event) {
  Stepper next(state);
  switch (state.phase) {
    case Phase::killing:
    case Phase::draining:
    case Phase::done:
      return next;
    case Phase::killed:
      next.state.phase = Phase::running;
      break;
    case Phase::starting:
    case Phase::running:
    case Phase::ending:
      break;
  }
  next.state.stopping = true;
  if (event.timeout_ms == 0) {
    next.state.stop_signal = SIGKILL;
    next.kill();
    return next;
  }
  next.state.stop_signal = event.signal;
  next.state.deadline_ms = event.now_ms + event.timeout_ms;
  if (state.hears && !state.main_over) next.add(Action::Type::signal_main, event.signal);
  return next;
}

Step step(const InstanceState& state, const event::Deaf& event) {
  Stepper next(state);
  if (state.phase == Phase::running && state.stopping && !state.main_over && event.asked == 0)
    next.kill();
  return next;
}

Step step(const InstanceState& state, const event::AskedEnded& event) {
  Stepper next(state);
  // A shell ends by itself when its last command has.
  if (state.phase == Phase::running && state.stopping && state.deadline_ms != 0)
    next.state.deadline_ms = std::min(state.deadline_ms, event.now_ms + kLastWordsMs);
  return next;
}

Step step(const InstanceState& state, const event::Timer& event) {
  Stepper next(state);
  if (state.deadline_ms == 0 || event.now_ms < state.deadline_ms) return next;
  next.state.deadline_ms = 0;
  switch (state.phase) {
    case Phase::starting:
    case Phase::running:
    case Phase::ending:
      next.kill();
      break;
    case Phase::killed:
      next.add(Action::Type::record_unkillable);
      next.drain(event.now_ms);
      break;
    case Phase::draining:
      next.state.hold = false;
      break;
    case Phase::killing:
    case Phase::done:
      break;
  }
  return next;
}

Step step(const InstanceState& state, const event::TreeAsked& event) {
  Stepper next(state);
  if (state.phase == Phase::ending && event.processes == 0) next.kill();
  return next;
}

Step step(const InstanceState& state, const event::TreeEmpty&) {
  Stepper next(state);
  if (state.phase == Phase::ending) next.kill();
  return next;
}

Step step(const InstanceState& state, const event::Killed& event) {
  Stepper next(state);
  if (state.phase != Phase::killing) return next;
  if (event.pending) {
    // A process that cannot die (D state) does not keep us for ever.
    next.state.phase = Phase::killed;
    next.state.deadline_ms = event.now_ms + kKillLimitMs;
    return next;
  }
  if (!state.main_over) {
    next.state.main_over = true;
    if (!state.spawned) next.state.never_ran = true;
    next.add(state.spawned ? Action::Type::record_unknown : Action::Type::record_unstarted);
  }
  next.drain(event.now_ms);
  return next;
}

Step step(const InstanceState& state, const event::OutputTaken&) {
  Stepper next(state);
  next.state.hold = false;
  if (state.phase == Phase::draining) next.state.deadline_ms = 0;
  return next;
}

Step step(const InstanceState& state, const event::Drained&) {
  Stepper next(state);
  if (state.phase == Phase::draining && !state.hold) next.report();
  return next;
}

}  // namespace locald::shim
