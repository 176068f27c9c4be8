#pragma once
#include <functional>
#include <string>

#include "project/project_spec.h"

namespace locald::project {

/// What the file leaves open about networks is decided: afterwards each service's mode is set, and
/// one in the project's networks names them. @param fallback  for containers of a file that says
/// nothing.
void decide_networks(ProjectSpec& spec, NetworkUse::Mode fallback);

/// Whether the file says of any network which it is.
bool names_networks(const ProjectSpec& spec);

/// The service whose network `service` is in: itself, or at the end of "service:NAME". Null where
/// that leads nowhere.
const ServiceSpec* network_owner(const ProjectSpec& spec, const ServiceSpec& service);

/// What cannot be about networks and ports, of a file whose networks are decided.
void check_networks(
    const ProjectSpec& spec,
    const std::function<void(SourcePos at, std::string message, std::string hint)>& add);

}  // namespace locald::project
