#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/ip_address.h"

/// Network namespaces and what is in them. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN in the user
/// namespace of the caller: it runs in workers. Blocks. A namespace lives as long as a descriptor
/// or a process holds it, and all that is in it goes with it: nothing here is ever removed.
namespace locald::net {

/// The largest that a veth takes: what leaves the sandbox is sent by other sockets.
inline constexpr int kMtu = 65520;

/// Of a sandbox, one for each network of a project.
struct Bridge {
  std::string name;               ///< "br0", …
  std::vector<Subnet> addresses;  ///< its own, in the networks' prefixes
};

/// One link of a service into one bridge.
struct Link {
  std::string bridge;             ///< of the sandbox
  std::string host_end;           ///< its name there, unique in the sandbox
  std::string name;               ///< in the service: "eth0", …
  std::vector<Subnet> addresses;  ///< of the service
  std::vector<IpAddress> routes;  ///< default routes, one for a family at most
};

/// A new network namespace whose loopback is up. It forwards nothing.
Result<UniqueFd> make_namespace();

/// A new sandbox: a namespace with `bridges`.
Result<UniqueFd> make_sandbox(const std::vector<Bridge>& bridges);

/// Gives `link`, of the network namespace of the calling thread, this address, and takes it from
/// all other links: an earlier network may have had it.
Result<void> take_address(const std::string& link, const Subnet& address);

/// Lets the network namespace of the calling thread pass packets on.
Result<void> let_forward();

/// Those of `bridges` that the sandbox lacks are made; the others get the addresses that they are to
/// have, and no other link keeps them.
Result<void> add_bridges(int sandbox, const std::vector<Bridge>& bridges);

/// The MAC of a link with this address: a link that gets the address of an earlier one gets its MAC
/// too, which others have in their ARP tables. Locally administered (IEEE 802), as Docker's.
std::vector<std::uint8_t> mac_of(const IpAddress& address);

/// A new namespace for a service, joined to `sandbox` by `links`.
Result<UniqueFd> make_attached(int sandbox, const std::vector<Link>& links);

/// A TCP socket of IPv4 in the namespace `netns`, not connected: connections by it come from there,
/// in whichever namespace connect(2) is called.
Result<UniqueFd> make_probe_socket(int netns);

/// Runs `work` on a thread of its own that is in the network namespace `netns`.
Result<void> in_namespace(int netns, const std::function<Result<void>()>& work);

}  // namespace locald::net
