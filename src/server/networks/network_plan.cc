#include "server/networks/network_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "net/cni/conflist.h"
#include "server/networks/subnet_texts.h"

namespace locald::server {
namespace {

bool in_networks(const project::ServiceConfig& config) { return config.network == "project"; }

/// The one whose network a service is in that shares another's.
const project::ServiceConfig* shares(const NetworkServices& services,
                                     const project::ServiceConfig& config) {
  static constexpr std::string_view kService = "service:";
  const project::ServiceConfig* at = &config;
  for (std::size_t hops = 0; at->network.starts_with(kService); ++hops) {
    const auto next = services.find(at->network.substr(kService.size()));
    if (next == services.end() || hops > services.size()) return nullptr;
    at = next->second.get();
  }
  return at;
}

Result<net::NetworkLayout> network_layout(const project::MemberConfig& member,
                                          std::uint32_t number) {
  net::NetworkLayout out{.name = member.network,
                         .number = number,
                         .internal = member.internal,
                         .ipv6 = member.ipv6,
                         .subnet = {},
                         .allowed = TRY(subnets(member.allow)),
                         .plugins = !member.cni.empty(),
                         .uplink = member.outbound == "pasta" ? kUplink : "",
                         .outside = member.outbound != "none"};
  if (out.plugins) out.addresses_told = TRY(net::Conflist::parse(member.cni)).takes("ips");
  if (!member.subnet.empty()) out.subnet = TRY(net::Subnet::parse(member.subnet));
  return out;
}

/// A service's place in one of its networks.
Result<net::MemberLayout> member_layout(const project::MemberConfig& member,
                                        const std::string& service, const NetworkPlan& plan) {
  net::MemberLayout out{member.network, member.aliases, {}};
  if (!member.address.empty()) out.address = TRY(net::IpAddress::parse(member.address));
  for (const auto& [follower, base] : plan.shared)
    if (base == service) out.aliases.push_back(follower);
  return out;
}

}  // namespace

bool any_in_networks(const NetworkServices& services) {
  return std::any_of(services.begin(), services.end(),
                     [](const auto& entry) { return in_networks(*entry.second); });
}

std::vector<PublishedPort> published_ports(const project::ServiceConfig& config) {
  std::vector<PublishedPort> out;
  for (const project::PortConfig& port : config.ports) {
    const int inside = port.container_port != 0 ? port.container_port : config.container_port;
    const auto address =
        net::IpAddress::parse(port.address.empty() ? net::kLoopback : port.address);
    if (port.port == 0 || inside == 0 || !address) continue;
    out.push_back({.service = project::slug(config.name),
                   .outside = {*address, static_cast<std::uint16_t>(port.port)},
                   .inside = static_cast<std::uint16_t>(inside),
                   .udp = port.udp});
  }
  return out;
}

std::vector<std::string> subnet_notices(
    const NetworkServices& services, const std::function<std::vector<net::HostRoute>()>& routes) {
  std::map<std::string, net::Subnet> subnets;  // of each network
  for (const auto& [name, config] : services)
    for (const project::MemberConfig& member : config->networks)
      if (const auto subnet = net::Subnet::parse(member.subnet)) subnets[member.network] = *subnet;
  std::vector<std::string> out;
  if (subnets.empty()) return out;
  const std::vector<net::HostRoute> all = routes();
  for (const auto& [network, subnet] : subnets) {
    const auto route = std::find_if(all.begin(), all.end(), [&](const net::HostRoute& each) {
      return each.to.overlaps(subnet);
    });
    if (route != all.end())
      out.push_back(fmt::format(
          "network {}: this machine reaches {} by {}, and services in the network do not, since "
          "its subnet is {}; write another subnet, or leave it out",
          network, route->to.text(), route->link, subnet.text()));
  }
  return out;
}

std::string network_key(const project::MemberConfig& member) {
  std::string key = member.network;
  if (!member.subnet.empty()) key += " " + member.subnet;
  if (member.internal) key += " internal";
  if (member.ipv6) key += " ipv6";
  for (const std::string& allowed : member.allow) key += " " + allowed;
  if (!member.cni.empty()) key += fmt::format(" cni {:x}", fnv1a(member.cni));
  if (!member.outbound.empty()) key += " outbound " + member.outbound;
  return key;
}

Result<NetworkPlan> plan_network(const NetworkServices& services,
                                 const NetworkRegistry::Project& numbers,
                                 const net::Subnet& range_v6, net::Layout::Misfit* misfit) {
  NetworkPlan out;
  for (const auto& [name, config] : services)
    if (config->network.starts_with("service:"))
      if (const auto* base = shares(services, *config))
        out.shared[project::slug(name)] = project::slug(base->name);
  std::map<std::string, net::NetworkLayout> networks;
  std::set<std::uint16_t> host_access;
  net::Layout::Input in;
  in.range = TRY(net::Subnet::parse(numbers.range));
  in.range_v6 = range_v6;
  for (const auto& [name, config] : services) {
    const bool on_host = config->network == "host";
    if (!in_networks(*config) && !on_host) continue;
    net::ServiceLayout service{.name = project::slug(name),
                               .number = numbers.services.at(name),
                               .networks = {},
                               .port = static_cast<std::uint16_t>(on_host ? config->port : 0)};
    for (const project::MemberConfig& member : config->networks) {
      const std::string key = network_key(member);
      const std::uint32_t number = numbers.networks.at(key);
      if (!networks.contains(key)) networks.emplace(key, TRY(network_layout(member, number)));
      if (!member.cni.empty()) out.plugins[number] = {member.network, member.cni};
      out.uplink = out.uplink || member.outbound == "pasta";
      service.networks.push_back(TRY(member_layout(member, service.name, out)));
    }
    for (const int port : config->host_access) host_access.insert(static_cast<std::uint16_t>(port));
    in.services.push_back(std::move(service));
    for (PublishedPort& port : published_ports(*config)) out.ports.push_back(std::move(port));
  }
  for (auto& [key, network] : networks) in.networks.push_back(std::move(network));
  in.host_access.assign(host_access.begin(), host_access.end());
  out.layout = TRY(net::Layout::make(std::move(in), misfit));
  return out;
}

}  // namespace locald::server
