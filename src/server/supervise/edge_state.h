#pragma once
#include <string>

#include "project/project_spec.h"
#include "server/supervise/health.h"
#include "server/supervise/service_state.h"

namespace locald::server {

/// After so many ends in a row, without ever having been ready, what waits is told that it will not
/// be.
inline constexpr int kHopelessFailures = 5;

/// What a dependency says to a service that waits for it. Pure.
struct EdgeState {
  enum class Kind : std::uint8_t { satisfied, pending, impossible } kind = Kind::pending;
  std::string
      reason;  ///< pending: what is waited for; impossible: why it can no longer become true
  bool held_up = false;  ///< pending: as ServiceState has it
};
EdgeState edge_state(const std::string& dependency, project::DependsCondition condition,
                     const ServiceState& state, Health health, const std::string& health_reason,
                     bool has_check);

}  // namespace locald::server
