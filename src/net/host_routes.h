#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "net/ip_address.h"

namespace locald::net {

/// A network that a machine reaches by one of its links.
struct HostRoute {
  Subnet to;
  std::string link;  ///< "eth0"
};

/// The IPv4 routes in the text of /proc/net/route, but for the default one. Lines that cannot be
/// read are left out. Spec: the kernel's net/ipv4/fib_trie.c, fib_route_seq_show().
std::vector<HostRoute> parse_host_routes(std::string_view text);

/// Those of this machine. Reads one file.
std::vector<HostRoute> host_routes();

}  // namespace locald::net
