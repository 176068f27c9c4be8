#include "netd/outside.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "net/listeners.h"
#include "net/route.h"

namespace locald::netd {
namespace {

/// IPv6 addresses that lead to IPv4 ones, which are to be named as such.
bool embeds_v4(const net::IpAddress& address) {
  static const std::array embedding{net::Subnet::parse("::/96").value(),
                                    net::Subnet::parse("::ffff:0:0/96").value(),
                                    net::Subnet::parse("::ffff:0:0:0/96").value()};
  return std::any_of(embedding.begin(), embedding.end(),
                     [&](const net::Subnet& each) { return each.contains(address); });
}

}  // namespace

bool OutsidePolicy::is_elsewhere(const net::IpAddress& address) const {
  if (embeds_v4(address)) return false;
  for (const net::Subnet& own : plan_.own)
    if (own.contains(address)) return false;
  return net::route_type(address) == RTN_UNICAST;
}

std::optional<Destination> OutsidePolicy::destination(const net::AddressAndPort& wanted) const {
  if (wanted == kHostResolver) {
    if (const auto* server = resolver_.best()) return Destination{server->address, server->port};
    return std::nullopt;
  }
  for (const auto& each : plan_.host_ports) {
    if (each.inside != wanted) continue;
    const auto listeners = net::quick_listeners(each.outside.port);
    const auto ours = [&](const net::Listener& listener) {
      return std::find(each.sockets.begin(), each.sockets.end(), listener.inode) !=
             each.sockets.end();
    };
    // Nobody else may take these connections: all that listens there must be the service's.
    if (!each.sockets.empty() && (!listeners || listeners->empty() ||
                                  !std::all_of(listeners->begin(), listeners->end(), ours)))
      return std::nullopt;
    return Destination{each.outside.address, each.outside.port};
  }
  if (!is_elsewhere(wanted.address)) return std::nullopt;
  return Destination{wanted.address, wanted.port};
}

}  // namespace locald::netd
