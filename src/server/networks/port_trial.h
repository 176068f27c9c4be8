#pragma once
#include <functional>
#include <vector>

#include "base/result.h"
#include "server/networks/network_plan.h"

namespace locald::server {

/// Ports of the host's that a project's services have, or are to have.
struct PortTrial {
  std::vector<PublishedPort> wanted;
  std::vector<PublishedPort> held;  ///< those that they have now, and let go of
};

/// What a service has of the host's ports, or will have: those published for it, and, on the host's
/// network, the one that it listens on, of all addresses.
std::vector<PublishedPort> host_ports(const project::ServiceConfig& config);

/// Fine where all that is wanted and not held can be taken. Takes nothing. Blocks.
/// @param explain  whose a port is that could not be taken, from what the kernel said
/// @return Errc::unavailable: one is in use, and by whom; else as `explain` says.
Result<void> try_ports(
    const PortTrial& trial,
    const std::function<Error(const Error& error, const PublishedPort& port)>& explain);

}  // namespace locald::server
