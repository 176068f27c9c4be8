#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "net/probe.h"
#include "project/service_config.h"
#include "server/supervise/health.h"

namespace locald::server {

/// Where a service that is not in the host's network is asked, and by which socket.
struct InsidePlace {
  net::ProbeSocket socket;
  std::string address;
};

/// Connects to a service from inside its own network, or asks there by HTTP (net/probe.h). Where
/// its own address refuses and its loopback does not, that is the reason that is given.
/// @param place  For a host as of HealthConfig::host; called for each probe, on the loop's thread.
std::unique_ptr<Prober> make_inside_prober(
    EventLoop& loop, const project::ServiceConfig& config,
    std::function<Result<InsidePlace>(const std::string& host)> place);

}  // namespace locald::server
