#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"
#include "net/netd_plan.h"
#include "net/network.h"
#include "net/sandbox/firewall.h"
#include "net/sandbox/sandbox.h"

/// The networks of one project: which services are in which, and at which addresses. Pure: from
/// what the file says and the numbers that each has, to what kernel and netd are told.
namespace locald::net {

/// Of one network, as the file has it, and its number, which stays while it is in the file.
struct NetworkLayout {
  std::string name;
  std::uint32_t number = 0;
  bool internal = false;         ///< nothing leaves it
  bool ipv6 = false;             ///< IPv6 beside IPv4
  std::optional<Subnet> subnet;  ///< IPv4, in the place of one of the project's range
  std::vector<Subnet> allowed;   ///< link-local networks that are relayed too
  bool plugins = false;          ///< CNI plugins make its links, not the project's own code
  bool addresses_told = true;    ///< `plugins`: they take the addresses that they are told
  std::string uplink;            ///< as of BridgePolicy
  bool outside = true;           ///< what is not the project's is reached
};

/// A service's place in a network of plugins.
struct PluginPlace {
  std::uint32_t network = 0;      ///< its number
  std::string link;               ///< in the service: "eth0", …
  std::vector<Subnet> addresses;  ///< that it is to have; empty: the plugins choose
  std::string mac;                ///< the same; goes with the first address
};

/// What plugins have made of one.
struct FoundPlace {
  std::vector<Subnet> addresses;
  std::vector<Subnet> gateways;  ///< addresses of the sandbox, for each network of `addresses`
  std::vector<std::string> nameservers, search, options;  ///< for resolv.conf
};

/// A service in one network.
struct MemberLayout {
  std::string network;
  std::vector<std::string> aliases;
  std::optional<IpAddress> address;  ///< chosen by the file

  friend bool operator==(const MemberLayout&, const MemberLayout&) = default;
};

struct ServiceLayout {
  std::string name;          ///< as others look it up
  std::uint32_t number = 0;  ///< from 1 on; stays while it is in the file
  /// Of a container. Empty: a service on the host, which is reached at a number of its own, where
  /// it has a `port`.
  std::vector<MemberLayout> networks;
  std::uint16_t port = 0;  ///< of one on the host
};

/// Addresses of a project: networks take /20s of it, the last one stands for services of the host.
inline constexpr int kRangeLength = 16, kNetworkLength = 20;
inline constexpr std::uint32_t kMaxNetworks = 15;
inline constexpr std::uint32_t kMaxServices = 4000;
/// Links of plugins are in the group of this number and their network's.
inline constexpr std::uint32_t kPluginGroup = 0x10CA0000;

class Layout {
 public:
  struct Input {
    Subnet range;     ///< IPv4, a /16
    Subnet range_v6;  ///< a /48 of fd00::/8
    std::vector<NetworkLayout> networks;
    std::vector<ServiceLayout> services;
    std::vector<std::uint16_t> host_access;  ///< ports of the host's loopback, as kHostName
  };
  /// What opened ports of the host are reached by.
  static constexpr const char* kHostName = "host.locald.internal";

  /// What of the input does not fit.
  struct Misfit {
    std::string network;
    std::string service;  ///< its place in that network; empty: the network itself
  };
  /// @param misfit  filled in on error, where it is one network's fault
  /// @return Errc::invalid_input naming network or service: two networks overlap, an address lies
  ///         in none or is taken, there are too many.
  static Result<Layout> make(Input input, Misfit* misfit = nullptr);

  /// What plugins have made of the service's place, which counts from now on.
  /// @return Errc::invalid_input: that network overlaps another one; nothing has changed then.
  Result<void> set_found(const std::string& service, std::uint32_t network, FoundPlace found);

  /// Of all networks but those of plugins.
  std::vector<Bridge> bridges() const;
  std::vector<BridgePolicy> policies() const;
  /// Of netd's plan: networks (nothing is handed over yet) and names. A network of plugins has no
  /// address; each gateway that was found for it is a network of its own, without names.
  std::vector<NetdPlan::Network> netd_networks() const;
  std::vector<NetdPlan::Name> netd_names() const;
  /// The project's own prefixes, and which address stands for which port of the host; whose sockets
  /// these must be is the caller's to say: by the name of the service, "" for what is open to all.
  std::vector<Subnet> own() const;
  std::vector<std::pair<std::string, OutsidePlan::HostPort>> host_ports() const;

  /// All services that are in networks.
  std::vector<std::string> containers() const;
  /// A container's links into the sandbox; empty where it is in none of the networks.
  std::vector<Link> links(const std::string& service) const;
  /// Its places in networks of plugins, whose links are not among those.
  std::vector<PluginPlace> plugin_places(const std::string& service) const;
  /// A container's networks, and its address in each.
  std::vector<std::pair<std::string, std::string>> places(const std::string& service) const;
  /// Numbers of a container's networks, in its order.
  std::vector<std::uint32_t> networks_of(const std::string& service) const;
  /// A container's addresses, names and nameservers.
  Attachment attachment(const std::string& service) const;
  /// Where netd connects to: in its first network; nothing for a service on the host.
  std::optional<IpAddress> address(const std::string& service) const;
  /// The address of `other` that `reader` sees; nothing: there is none.
  std::optional<IpAddress> address_for(const std::string& reader, const std::string& other) const;

 private:
  struct Placed {
    std::uint32_t network;  ///< its place in networks_
    std::vector<std::string> aliases;
    std::vector<Subnet> addresses;  ///< empty: not found yet
    std::vector<Subnet> planned;    ///< of a network of plugins that are told
    FoundPlace found;
  };
  struct Net {
    NetworkLayout layout;
    std::vector<Subnet> gateways;  ///< the bridge's addresses; of plugins: as they would be
    std::vector<Subnet> found;     ///< of plugins
    /// The addresses of the sandbox in it, as far as they are known.
    const std::vector<Subnet>& own() const { return layout.plugins ? found : gateways; }
  };
  struct Service {
    ServiceLayout layout;
    std::vector<Placed> places;
    std::vector<IpAddress> standing;  ///< of one on the host: what stands for it
  };
  const Service* find(const std::string& service) const;
  Result<void> place(Service& service, Misfit& misfit);

  std::vector<Net> nets_;
  std::vector<Service> services_;
  Subnet standing_, standing_v6_;
  std::vector<std::uint16_t> host_access_;
};

}  // namespace locald::net
