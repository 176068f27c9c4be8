#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/host_routes.h"
#include "net/layout.h"
#include "project/service_config.h"
#include "server/networks/network_registry.h"

/// What a project's services want of its network. Pure.
namespace locald::server {

/// What pasta adds to a sandbox: a link with the host's addresses, and a default route by it.
inline constexpr const char* kUplink = "up0";

using NetworkServices = std::map<std::string, std::shared_ptr<const project::ServiceConfig>>;

/// A port of the host's that leads to a service. Services are named as in the layout.
struct PublishedPort {
  std::string service;
  net::AddressAndPort outside;
  std::uint16_t inside = 0;
  bool udp = false;

  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

/// What is wanted of a project's network.
struct NetworkPlan {
  /// One that CNI plugins make.
  struct Plugins {
    std::string network, conflist;
  };
  net::Layout layout;
  std::map<std::uint32_t, Plugins> plugins;  ///< by its number in the layout
  bool uplink = false;                       ///< a network has one: pasta is needed
  std::vector<PublishedPort> ports;
  std::map<std::string, std::string> shared;  ///< service -> whose network it is in

  /// Whose place in the networks a service has: its own, but for network = "service:NAME".
  const std::string& member(const std::string& service) const {
    const auto other = shared.find(service);
    return other == shared.end() ? service : other->second;
  }
};

/// The ports that are known: one that is still to be chosen is none, nor is one without an inside.
std::vector<PublishedPort> published_ports(const project::ServiceConfig& config);

/// Whether one of them is in a network of the project.
bool any_in_networks(const NetworkServices& services);

/// What is to be said of networks whose `subnet` lies where this machine reaches others.
/// @param routes  asked where a network has one
std::vector<std::string> subnet_notices(const NetworkServices& services,
                                        const std::function<std::vector<net::HostRoute>()>& routes);

/// What a network is numbered by: its name, and all that makes it another one. Its bridge stays as
/// it was for those that are in it.
std::string network_key(const project::MemberConfig& member);

/// The plan for `services`.
/// @param numbers  of them and of their networks (network_key())  @param range_v6  as Layout::Input
/// @param misfit   as of net::Layout::make()
/// @return Errc::invalid_input: as net::Layout::make()
Result<NetworkPlan> plan_network(const NetworkServices& services,
                                 const NetworkRegistry::Project& numbers,
                                 const net::Subnet& range_v6, net::Layout::Misfit* misfit);

}  // namespace locald::server
