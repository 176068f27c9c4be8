#include "netd/outside.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "net/listeners.h"
#include "net/sandbox/netlink_message.h"

namespace locald::netd {
namespace {

/// The type of the route that the kernel would take (RTN_UNICAST, RTN_LOCAL, …); nothing: none.
std::optional<int> route_type(const net::IpAddress& address) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return std::nullopt;
  rtmsg body{};
  body.rtm_family = static_cast<std::uint8_t>(address.family());
  body.rtm_dst_len = static_cast<std::uint8_t>(address.bits());
  net::NetlinkMessage message(RTM_GETROUTE, 0, body);
  message.add(RTA_DST, address.bytes());
  const std::string_view bytes = message.finish(1);
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0) return std::nullopt;
  alignas(NLMSG_ALIGNTO) std::array<char, 4096> reply{};
  const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
  if (size < 0 || !NLMSG_OK(header, static_cast<std::size_t>(size)) ||
      header->nlmsg_type != RTM_NEWROUTE)
    return std::nullopt;
  return static_cast<const rtmsg*>(NLMSG_DATA(header))->rtm_type;
}

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
  return route_type(address) == RTN_UNICAST;
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
