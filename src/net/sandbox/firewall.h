#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"

namespace locald::net {

/// What the services of one bridge may reach through it, beside each other. Names are answered at
/// the bridge's addresses, port 53.
struct BridgePolicy {
  std::string bridge;
  std::vector<Subnet> addresses;  ///< the bridge's own; its networks are their prefixes
  /// TCP that leaves the network is redirected to this port of the bridge's address, where netd
  /// accepts it; 0: refused at once (an internal network).
  std::uint16_t relay_port = 0;
  bool relay_v6 = false;        ///< the same for IPv6, which else is refused
  std::vector<Subnet> allowed;  ///< link-local networks that are relayed too
  /// What is not TCP leaves by this link of the sandbox, masqueraded; empty: it does not leave.
  std::string uplink;
  /// Not 0: in place of the bridge, all links of that group (those that CNI plugins have made).
  std::uint32_t group = 0;
  std::vector<Subnet> relayed;  ///< not empty: TCP leaves for these alone
};

/// Writes the rules of a sandbox into the network namespace of the calling thread, in one
/// transaction, in place of those of an earlier call. Needs CAP_NET_ADMIN there.
///
/// From a bridge goes: to its services; DNS and pings to the bridge's address; TCP to elsewhere,
/// redirected. All else is refused at once (a reset, or ICMP), since a timeout explains nothing.
/// One bridge's services reach neither another's, nor another bridge's address, nor the relay's
/// port by hand. Where something may forward packets (a plugin has switched it on, or an uplink
/// needs it), they go from one link of a network to another of the same, or to its uplink.
/// @return Errc::unsupported: the kernel has no nf_tables, or not all that this needs.
Result<void> write_firewall(const std::vector<BridgePolicy>& bridges);

}  // namespace locald::net
