#include "net/cni/settle.h"

#include <sys/socket.h>

#include <string>

#include "net/sandbox/netlink.h"
#include "net/sandbox/sandbox.h"
#include "net/socket_address.h"

namespace locald::net {
namespace {

/// Shorter networks have no address left for a gateway.
constexpr int kLongestV4 = 30, kLongestV6 = 126;

bool is_here(const IpAddress& address) {
  const UniqueFd socket(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress at(address, 0);
  return socket && ::bind(socket.get(), at.get(), at.size()) == 0;
}

}  // namespace

Result<FoundPlace> settle(const CniResult& result, std::uint32_t group) {
  Netlink links = TRY(Netlink::open());
  std::string bridge;
  for (const std::string& link : result.outside) {
    TRY(links.set_group(link, group).context("a link of the plugins' result"));
    if (!bridge.empty() || !TRY(links.is_bridge(link))) continue;
    bridge = link;
    // Their CHECK wants it as it was.
    TRY(links.keep_mac(bridge));
  }
  FoundPlace out;
  out.nameservers = result.dns.nameservers;
  out.search = result.dns.search;
  out.options = result.dns.options;
  for (const CniResult::Address& each : result.addresses) {
    out.addresses.push_back(each.address);
    const int length = each.address.length;
    const bool has_room = length <= (each.address.address.is_v6() ? kLongestV6 : kLongestV4);
    if (!each.gateway && !has_room) continue;
    const Subnet gateway{each.gateway.value_or(each.address.network().plus(1)), length};
    if (gateway.address == each.address.address) continue;
    if (!bridge.empty() && gateway.contains(each.address.address))
      TRY(take_address(bridge, gateway));
    if (is_here(gateway.address)) out.gateways.push_back(gateway);
  }
  return out;
}

}  // namespace locald::net
