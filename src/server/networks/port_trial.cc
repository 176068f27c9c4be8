#include "server/networks/port_trial.h"

#include <set>

#include "net/ports.h"
#include "net/sandbox/netd_sockets.h"

namespace locald::server {
namespace {

const net::IpAddress kAll = net::IpAddress::v4(0);

}  // namespace
std::vector<PublishedPort> host_ports(const project::ServiceConfig& config) {
  std::vector<PublishedPort> out = published_ports(config);
  if (config.network == "host" && config.port > 0)
    out.push_back({.service = project::slug(config.name),
                   .outside = {kAll, static_cast<std::uint16_t>(config.port)},
                   .inside = static_cast<std::uint16_t>(config.port)});
  return out;
}

Result<void> try_ports(
    const PortTrial& trial,
    const std::function<Error(const Error& error, const PublishedPort& port)>& explain) {
  for (const PublishedPort& port : trial.wanted) {
    std::set<net::IpAddress> own;
    bool all = false;  // one on the host's network may listen on any of its addresses
    for (const PublishedPort& held : trial.held) {
      if (held.udp != port.udp || held.outside.port != port.outside.port) continue;
      own.insert(held.outside.address);
      all = all || held.outside.address == kAll;
    }
    if (all) continue;
    const auto listener = port.udp ? net::bind_udp(port.outside) : net::listen_tcp(port.outside);
    if (listener || (!own.empty() && !net::find_port_holder(port.outside, port.udp, own))) continue;
    return explain(listener.error(), port);
  }
  return {};
}

}  // namespace locald::server
