#pragma once
#include <string>
#include <vector>

#include "project/resolve/resolve.h"

namespace locald::project {

/// A container of which the file does not say where it listens, though something depends on it.
struct UnknownPort {
  std::string service, image;
  PullPolicy pull = PullPolicy::missing;
};

/// A check that asks wherever the service listens.
bool asks_own_port(const HealthSpec& health);

/// Those of the project whose `container_port` is what their image exposes: something is published
/// for them, or asks or refers to their port. A problem of the file is not reported here.
std::vector<UnknownPort> unknown_ports(const ResolveInput& input);

}  // namespace locald::project
