#pragma once
#include "project/resolve/low_ports.h"
#include "project/resolve/network_tables.h"
#include "project/resolve/port_claims.h"
#include "project/resolve/texts.h"

namespace locald::project {

/// `network`, `networks`, `ports` and what is published; `notices` says what is published elsewhere
/// than the file writes.
void resolve_network(Texts& texts, NetworkTables& networks, PortClaims& claims,
                     const ServiceSpec& spec, ServiceConfig& out, NetworkTables::Notices& notices);

/// Where a service of the project listens: inside its container, or on the host. 0: the file does
/// not tell.
int container_port(const ServiceSpec& spec);

/// Services that the file publishes nothing of and that one on the host refers to: each gets a port
/// on loopback.
std::set<std::string> reached_from_host(const ProjectSpec& spec);

/// The ports that have to be chosen for the services of a project, by what they are remembered by
/// (ResolveInput::auto_ports), with the first and last that may be.
std::map<std::string, std::pair<int, int>> ports_to_choose(const ProjectSpec& spec,
                                                           const LowPorts& low);

}  // namespace locald::project
