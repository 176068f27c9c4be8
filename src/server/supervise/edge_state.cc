#include "server/supervise/edge_state.h"

#include <fmt/format.h>

#include <string_view>

namespace locald::server {

EdgeState edge_state(const std::string& dependency, project::DependsCondition condition,
                     const ServiceState& state, Health health, const std::string& health_reason,
                     bool has_check) {
  using Kind = EdgeState::Kind;
  // The next step is said where it failed, not by all that depend on it.
  const std::string why = state.reason.substr(0, state.reason.find("\n  hint: "));
  const std::string because = why.empty() ? "" : ": " + why;
  const auto impossible = [&](std::string_view what) {
    // What failed for another's sake hands on why that one did: the root, not the way to it.
    if (state.inherited) return EdgeState{Kind::impossible, state.reason};
    return EdgeState{Kind::impossible, fmt::format("{} {}{}", dependency, what, because)};
  };
  const std::string_view wanted = condition == project::DependsCondition::completed ? "to complete"
                                  : condition == project::DependsCondition::healthy
                                      ? "to be healthy"
                                      : "to start";
  const EdgeState pending{Kind::pending, fmt::format("waits for {} {}", dependency, wanted)};
  if (condition == project::DependsCondition::healthy && !has_check)
    condition = project::DependsCondition::started;

  switch (state.phase) {
    case Phase::stopped:
      return impossible("is stopped");
    case Phase::failed:
      return impossible("failed");
    case Phase::stopping:
      if (state.again) return pending;
      return impossible("is being stopped");
    case Phase::waiting:
      return {Kind::pending, pending.reason, state.held_up};
    case Phase::preparing:
    case Phase::starting:
      return pending;
    case Phase::backoff:
      // It has not started yet, and may at any time: its dependents keep waiting.
      if (state.held_up)
        return {
            Kind::pending,
            fmt::format("{} ({})", pending.reason, state.reason.substr(0, state.reason.find('\n'))),
            state.history.failures >= kHopelessFailures};
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (state.history.failures >= kHopelessFailures) return impossible("keeps ending");
      return pending;
    case Phase::exited:
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (condition == project::DependsCondition::completed && state.exit && state.exit->success())
        return {Kind::satisfied, {}};
      return impossible(condition == project::DependsCondition::completed ? "did not complete"
                                                                          : "has ended");
    case Phase::running:
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (condition == project::DependsCondition::completed) return pending;
      if (health == Health::healthy) return {Kind::satisfied, {}};
      if (health == Health::unhealthy)
        return {Kind::impossible, fmt::format("{} is unhealthy{}", dependency,
                                              health_reason.empty() ? "" : ": " + health_reason)};
      return {Kind::pending, health_reason.empty()
                                 ? pending.reason
                                 : fmt::format("{} ({})", pending.reason, health_reason)};
  }
  return pending;
}

}  // namespace locald::server
