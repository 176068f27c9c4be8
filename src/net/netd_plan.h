#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/socket_address.h"

/// What locald-server tells locald-netd. A plan is whole: what it does not name ends. As text, a
/// line for each thing, so that a newer server and an older netd can be told apart by a word that
/// one of them does not know.
namespace locald::net {

/// Of the process that holds connections. With it come descriptors, in the order of the lines that
/// have `handed` (sandbox/netd_sockets.h makes them): of a network, for each of its addresses, a
/// socket for UDP and one for TCP at port 53, and, where it relays, one that takes what the firewall
/// redirects; of a port, its socket; of a service, its network namespace and, in it, a socket for
/// UDP and one for TCP at which it asks for names.
struct NetdPlan {
  struct Network {
    std::uint32_t number = 0;
    bool handed = false;               ///< else netd has its sockets already
    bool relays = false;               ///< not internal
    std::vector<IpAddress> addresses;  ///< the bridge's own
  };
  struct Name {
    std::uint32_t network = 0;
    std::string name;
    std::vector<IpAddress> addresses;
  };
  struct Port {
    AddressAndPort outside;  ///< where it is published; its key
    bool handed = false;
    /// Where it leads; without: connections are accepted and reset, since what it belongs to is not
    /// up right now.
    std::optional<AddressAndPort> target;
    bool udp = false;  ///< part of the key; without a target packets are dropped

    auto key() const { return std::pair(udp, outside); }
  };
  struct Service {
    std::string name;
    bool handed = false;
    /// The names of these are answered, those of the first before those of the next.
    std::vector<std::uint32_t> networks;
  };
  std::vector<Network> networks;
  std::vector<Name> names;
  std::vector<Port> ports;
  std::vector<Service> services;

  std::string to_text() const;
  /// @return Errc::invalid_input: the line.
  static Result<NetdPlan> parse(std::string_view text);
};

/// Of the process that makes connections in the host's network.
struct OutsidePlan {
  /// A port of the host's loopback that containers reach at an address that stands for it.
  struct HostPort {
    AddressAndPort inside;
    AddressAndPort outside;
    /// Only while one of these sockets listens there: they are the service's own. Empty: any
    /// listener will do.
    std::vector<ino_t> sockets;
  };
  std::vector<AddressAndPort> resolvers;
  std::vector<Subnet> own;  ///< the project's networks, which are not reached from outside
  std::vector<HostPort> host_ports;

  std::string to_text() const;
  /// @return Errc::invalid_input: the line.
  static Result<OutsidePlan> parse(std::string_view text);
};

}  // namespace locald::net
