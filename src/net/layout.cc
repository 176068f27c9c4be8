#include "net/layout.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "net/endpoint.h"
#include "net/sandbox/netd_sockets.h"

namespace locald::net {
namespace {

/// Of 2^12 addresses, the first numbers are for services; the file's own choice may be any.
constexpr std::uint32_t kGateway = 1, kFirstService = 1;  // added to a service's number
constexpr std::uint32_t kHostItself = 1;                  // of those that stand for the host

std::string bridge_name(std::uint32_t number) { return "br" + std::to_string(number); }

Subnet part(const Subnet& range, std::uint32_t number) {
  return {range.address.plus(number << (32 - kNetworkLength)), kNetworkLength};
}

/// The /64 `number` of a /48.
Subnet part_v6(const Subnet& range, std::uint32_t number) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(range.address.bytes().begin(), range.address.bytes().end(), bytes.begin());
  bytes[7] = static_cast<std::uint8_t>(number);
  return {IpAddress::v6(bytes), 64};
}

/// Of netd's: one for a gateway of plugins, of which there are few.
std::uint32_t gateway_number(const IpAddress& gateway) {
  const std::uint64_t hash = fnv1a(gateway.text());
  return 0x8000 + static_cast<std::uint32_t>((hash ^ (hash >> 32)) & 0x7FFF);
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& each : from)
    if (std::find(to.begin(), to.end(), each) == to.end()) to.push_back(each);
}

Subnet at(const Subnet& network, std::uint32_t offset) {
  return {network.network().plus(offset), network.length};
}

}  // namespace

Result<Layout> Layout::make(Input input, Misfit* misfit) {
  Layout out;
  Misfit unwanted;
  Misfit& at_fault = misfit != nullptr ? *misfit : unwanted;
  out.standing_ = part(input.range, kMaxNetworks);
  out.standing_v6_ = part_v6(input.range_v6, kMaxNetworks);
  out.host_access_ = input.host_access;
  if (input.networks.size() > kMaxNetworks)
    return Error(Errc::invalid_input,
                 "the project has more than " + std::to_string(kMaxNetworks) + " networks");
  for (NetworkLayout& network : input.networks) {
    Net net;
    at_fault = {network.name, ""};
    const Subnet v4 = network.subnet.value_or(part(input.range, network.number));
    if (v4.address.is_v6() || v4.length > 29)
      return Error(Errc::invalid_input,
                   "network " + network.name + ": " + v4.text() + " has no room for services")
          .with_hint("use an IPv4 network like 10.100.0.0/24");
    for (const Net& other : out.nets_)
      if (other.gateways.front().overlaps(v4) && network.addresses_told &&
          other.layout.addresses_told) {
        // The one whose subnet the file has.
        if (!network.subnet) at_fault.network = other.layout.name;
        return Error(Errc::invalid_input, "networks " + other.layout.name + " and " + network.name +
                                              " overlap: both have " + v4.text())
            .with_hint("change the `subnet` of one of them");
      }
    if (out.standing_.overlaps(v4))
      return Error(Errc::invalid_input, "network " + network.name + ": " + out.standing_.text() +
                                            " is where services on the host are reached")
          .with_hint(
              "change its `subnet`: networks from 10.64.0.0/16 to 10.127.0.0/16 are for those "
              "without one");
    net.gateways.push_back(at(v4, kGateway));
    if (network.ipv6) net.gateways.push_back(at(part_v6(input.range_v6, network.number), kGateway));
    net.layout = std::move(network);
    out.nets_.push_back(std::move(net));
  }
  at_fault = {};
  if (input.services.size() > kMaxServices)
    return Error(Errc::invalid_input,
                 "the project has more than " + std::to_string(kMaxServices) + " services");
  for (ServiceLayout& layout : input.services)
    out.services_.push_back({.layout = std::move(layout), .places = {}, .standing = {}});
  for (Service& service : out.services_) TRY(out.place(service, at_fault));
  at_fault = {};
  std::map<IpAddress, std::string> taken;
  for (const Service& service : out.services_)
    for (const Placed& placed : service.places)
      for (const Subnet& address : placed.addresses)
        if (const auto [known, fresh] = taken.emplace(address.address, service.layout.name);
            !fresh) {
          at_fault = {out.nets_[placed.network].layout.name, service.layout.name};
          return Error(Errc::invalid_input, known->second + " and " + service.layout.name +
                                                " both have the address " + address.address.text())
              .with_hint("give one of them another `address`");
        }
  return out;
}

Result<void> Layout::place(Service& service, Misfit& misfit) {
  const ServiceLayout& layout = service.layout;
  if (layout.networks.empty()) {
    service.standing.push_back(at(standing_, kHostItself + layout.number).address);
    service.standing.push_back(at(standing_v6_, kHostItself + layout.number).address);
    return {};
  }
  for (const MemberLayout& member : layout.networks) {
    misfit = {member.network, layout.name};
    const auto net = std::find_if(nets_.begin(), nets_.end(), [&](const Net& each) {
      return each.layout.name == member.network;
    });
    if (net == nets_.end())
      return Error(Errc::invalid_input,
                   layout.name + " is in an unknown network, " + member.network);
    Placed placed{.network = static_cast<std::uint32_t>(net - nets_.begin()),
                  .aliases = member.aliases,
                  .addresses = {},
                  .planned = {},
                  .found = {}};
    // The plugins' choice, which is told by set_found().
    if (net->layout.plugins && !net->layout.addresses_told) {
      service.places.push_back(std::move(placed));
      continue;
    }
    for (const Subnet& gateway : net->gateways) {
      const bool chosen = member.address && member.address->is_v6() == gateway.address.is_v6();
      Subnet address{chosen ? *member.address : at(gateway, kFirstService + layout.number).address,
                     gateway.length};
      if (chosen && (!gateway.contains(address.address) || address.address == gateway.address ||
                     address.address == gateway.network()))
        return Error(Errc::invalid_input,
                     layout.name + ": " + address.address.text() +
                         " is not an address for services in network " + net->layout.name + " (" +
                         Subnet{gateway.network(), gateway.length}.text() + ")")
            .with_hint("write another `address`, or none");
      if (!gateway.address.is_v6() && kFirstService + layout.number + 1 >= gateway.size() &&
          !chosen) {
        misfit.service.clear();
        return Error(Errc::invalid_input, "network " + net->layout.name + ": " +
                                              Subnet{gateway.network(), gateway.length}.text() +
                                              " has no address left for " + layout.name)
            .with_hint("give it a larger `subnet`");
      }
      placed.addresses.push_back(address);
    }
    if (net->layout.plugins) placed.planned = placed.addresses;
    service.places.push_back(std::move(placed));
  }
  return {};
}

const Layout::Service* Layout::find(const std::string& service) const {
  for (const Service& each : services_)
    if (each.layout.name == service) return &each;
  return nullptr;
}

std::vector<Bridge> Layout::bridges() const {
  std::vector<Bridge> out;
  for (const Net& net : nets_)
    if (!net.layout.plugins) out.push_back({bridge_name(net.layout.number), net.gateways});
  return out;
}

std::vector<BridgePolicy> Layout::policies() const {
  std::vector<BridgePolicy> out;
  for (const Net& net : nets_) {
    const bool v6 = std::any_of(net.found.begin(), net.found.end(),
                                [](const Subnet& each) { return each.address.is_v6(); });
    out.push_back({.bridge = net.layout.plugins ? "" : bridge_name(net.layout.number),
                   .addresses = net.own(),
                   .relay_port = net.layout.internal ? std::uint16_t{0} : kRelayPort,
                   .relay_v6 = net.layout.ipv6 || v6,
                   .allowed = net.layout.allowed,
                   .uplink = net.layout.internal ? "" : net.layout.uplink,
                   .group = net.layout.plugins ? kPluginGroup + net.layout.number : 0,
                   .relayed = net.layout.outside ? std::vector<Subnet>()
                                                 : std::vector<Subnet>{standing_, standing_v6_}});
  }
  return out;
}

std::vector<NetdPlan::Network> Layout::netd_networks() const {
  std::vector<NetdPlan::Network> out;
  for (const Net& net : nets_) {
    NetdPlan::Network network{
        .number = net.layout.number, .relays = !net.layout.internal, .addresses = {}};
    if (!net.layout.plugins)
      for (const Subnet& gateway : net.gateways) network.addresses.push_back(gateway.address);
    out.push_back(std::move(network));
  }
  // Numbers that stay the same, whichever is found first.
  std::map<std::uint32_t, NetdPlan::Network> found;
  for (const Net& net : nets_)
    if (net.layout.plugins)
      for (const Subnet& gateway : net.found)
        found.emplace(gateway_number(gateway.address),
                      NetdPlan::Network{.number = gateway_number(gateway.address),
                                        .relays = !net.layout.internal,
                                        .addresses = {gateway.address}});
  for (auto& [number, network] : found) out.push_back(std::move(network));
  return out;
}

std::vector<NetdPlan::Name> Layout::netd_names() const {
  std::vector<NetdPlan::Name> out;
  for (std::uint32_t index = 0; index < nets_.size(); ++index) {
    const Net& net = nets_[index];
    std::map<std::string, std::vector<IpAddress>> names;
    for (const Service& service : services_) {
      for (const Placed& placed : service.places) {
        if (placed.network != index) continue;
        for (const Subnet& address : placed.addresses) {
          names[to_lower(service.layout.name)].push_back(address.address);
          for (const std::string& alias : placed.aliases) names[alias].push_back(address.address);
        }
      }
      // From an internal network nothing of the host is reached.
      if (!net.layout.internal && service.layout.networks.empty() && service.layout.port != 0)
        for (const IpAddress& address : service.standing)
          if (!address.is_v6() || net.layout.ipv6)
            names[to_lower(service.layout.name)].push_back(address);
    }
    if (!net.layout.internal && !host_access_.empty())
      names[kHostName].push_back(at(standing_, kHostItself).address);
    for (auto& [name, addresses] : names)
      out.push_back({net.layout.number, name, std::move(addresses)});
  }
  return out;
}

std::vector<Subnet> Layout::own() const {
  std::vector<Subnet> out;
  for (const Net& net : nets_)
    for (const Subnet& gateway : net.own()) out.push_back({gateway.network(), gateway.length});
  out.push_back(standing_);
  out.push_back(standing_v6_);
  return out;
}

std::vector<std::pair<std::string, OutsidePlan::HostPort>> Layout::host_ports() const {
  std::vector<std::pair<std::string, OutsidePlan::HostPort>> out;
  const IpAddress loopback = IpAddress::v4(0x7F000001);
  for (const Service& service : services_)
    if (service.layout.networks.empty() && service.layout.port != 0)
      for (const IpAddress& address : service.standing)
        out.push_back({service.layout.name,
                       {{address, service.layout.port}, {loopback, service.layout.port}, {}}});
  for (const std::uint16_t port : host_access_)
    out.push_back({"", {{at(standing_, kHostItself).address, port}, {loopback, port}, {}}});
  return out;
}

std::vector<std::string> Layout::containers() const {
  std::vector<std::string> out;
  for (const Service& service : services_)
    if (!service.places.empty()) out.push_back(service.layout.name);
  return out;
}

std::vector<Link> Layout::links(const std::string& name) const {
  std::vector<Link> out;
  const Service* service = find(name);
  if (service == nullptr) return out;
  for (std::size_t number = 0; number < service->places.size(); ++number) {
    const Placed& placed = service->places[number];
    const Net& net = nets_[placed.network];
    if (net.layout.plugins) continue;
    Link link{.bridge = bridge_name(net.layout.number),
              .host_end = "v" + std::to_string(service->layout.number) + "n" +
                          std::to_string(net.layout.number),
              .name = "eth" + std::to_string(number),
              .addresses = placed.addresses,
              .routes = {}};
    // By the first network of them, and where something leaves it.
    if (number == 0)
      for (const Subnet& gateway : net.gateways) link.routes.push_back(gateway.address);
    out.push_back(std::move(link));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Layout::places(const std::string& name) const {
  std::vector<std::pair<std::string, std::string>> out;
  if (const Service* service = find(name))
    for (const Placed& placed : service->places)
      out.emplace_back(nets_[placed.network].layout.name,
                       placed.addresses.empty() ? "" : placed.addresses.front().address.text());
  return out;
}

std::vector<std::uint32_t> Layout::networks_of(const std::string& name) const {
  std::vector<std::uint32_t> out;
  if (const Service* service = find(name))
    for (const Placed& placed : service->places) out.push_back(nets_[placed.network].layout.number);
  return out;
}

Attachment Layout::attachment(const std::string& name) const {
  Attachment out;
  out.kind = Attachment::Kind::own;
  const Service* service = find(name);
  if (service == nullptr) return out;
  std::set<std::uint32_t> numbers;
  for (const Placed& placed : service->places) {
    const Net& net = nets_[placed.network];
    numbers.insert(net.layout.number);
    for (const Subnet& address : placed.addresses) out.addresses.push_back(address.address.text());
    // Others' addresses may change while it runs: they are asked for.
    if (net.layout.plugins && !net.layout.addresses_told) numbers.erase(net.layout.number);
    append(out.search, placed.found.search);
    append(out.resolver_options, placed.found.options);
  }
  // Of all its networks. As Docker has it, which configurations written for it rely on.
  out.nameservers = {kServiceDns.address.text()};
  for (const Placed& placed : service->places) append(out.nameservers, placed.found.nameservers);
  for (const NetdPlan::Name& each : netd_names())
    if (numbers.contains(each.network))
      for (const IpAddress& address : each.addresses)
        if (auto& all = out.names[each.name];
            std::find(all.begin(), all.end(), address.text()) == all.end())
          all.push_back(address.text());
  for (const Placed& placed : service->places)
    if (!nets_[placed.network].layout.addresses_told)
      for (const Subnet& address : placed.addresses)
        out.names[name].push_back(address.address.text());
  return out;
}

std::optional<IpAddress> Layout::address(const std::string& name) const {
  const Service* service = find(name);
  if (service == nullptr) return std::nullopt;
  for (const Placed& placed : service->places)
    if (!placed.addresses.empty()) return placed.addresses.front().address;
  return std::nullopt;
}

std::optional<IpAddress> Layout::address_for(const std::string& reader,
                                             const std::string& other) const {
  const Service* a = find(reader);
  const Service* b = find(other);
  if (a == nullptr || b == nullptr) return std::nullopt;
  if (b->places.empty()) return b->standing.front();
  for (const Placed& mine : a->places)
    for (const Placed& theirs : b->places)
      if (mine.network == theirs.network && !theirs.addresses.empty())
        return theirs.addresses.front().address;
  return std::nullopt;
}

}  // namespace locald::net
