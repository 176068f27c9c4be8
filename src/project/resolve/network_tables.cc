#include "project/resolve/network_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>

#include "base/json/json.h"
#include "base/strings.h"
#include "net/cni/conflist.h"
#include "project/network_check.h"

namespace locald::project {
namespace {

using Mode = NetworkUse::Mode;

constexpr int kShortest = 8, kLongest = 29;  // prefixes of a subnet: the last has room for five
constexpr std::string_view kSubnetHint = "use a private network like 10.100.0.0/24";

net::Subnet subnet_of(std::string_view text) { return net::Subnet::parse(text).value(); }

bool lies_in(const net::Subnet& subnet, std::string_view of) {
  const net::Subnet range = subnet_of(of);
  return range.length <= subnet.length && range.contains(subnet.network());
}

/// "127.0.0.0/8 (loopback)": what no service can have as its address, where the subnet reaches into
/// it.
std::optional<std::string> reserved_in(const net::Subnet& subnet) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kReserved{
      {{"0.0.0.0/8", "no addresses of hosts"},
       {"127.0.0.0/8", "loopback"},
       {"169.254.0.0/16", "link-local"},
       {"224.0.0.0/4", "multicast"},
       {"240.0.0.0/4", "reserved"}}};
  for (const auto& [range, what] : kReserved)
    if (subnet.overlaps(subnet_of(range))) return fmt::format("{} ({})", range, what);
  return std::nullopt;
}

/// Networks whose addresses are nobody's on the internet. Spec: RFC 1918, 6598, 2544, 5737.
bool is_private(const net::Subnet& subnet) {
  static constexpr std::array<std::string_view, 8> kPrivate{
      "10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",  "100.64.0.0/10",
      "198.18.0.0/15", "192.0.2.0/24",  "198.51.100.0/24", "203.0.113.0/24"};
  return std::any_of(kPrivate.begin(), kPrivate.end(),
                     [&](std::string_view range) { return lies_in(subnet, range); });
}

Error invalid(std::string message, std::string_view hint) {
  return Error(Errc::invalid_input, std::move(message)).with_hint(std::string(hint));
}

}  // namespace

NetworkTables::NetworkTables(Texts& texts, Notices& notices) : texts_(texts), notices_(notices) {
  const ProjectSpec& spec = texts_.in().spec;
  texts_.begin_networks();
  for (const NetworkSpec& network : spec.networks) read(network);
  for (const ServiceSpec& service : spec.services) {
    const ServiceSpec* owner = network_owner(spec, service);
    if (owner == nullptr) continue;
    for (const MemberSpec& place : owner->networks)
      names_[place.network][to_lower(slug(service.name))] = service.name;
  }
  unused(notices);
}

void NetworkTables::unused(Notices& notices) const {
  const ProjectSpec& spec = texts_.in().spec;
  std::set<std::string> used;
  for (const ServiceSpec& service : spec.services)
    for (const MemberSpec& place : service.networks) used.insert(place.network);
  for (const NetworkSpec& network : spec.networks)
    if (!used.contains(network.name))
      notices.emplace_back("", fmt::format("network {} (line {}): no service is in it",
                                           network.name, network.at.line));
  if (!spec.host_access.empty() &&
      std::none_of(used.begin(), used.end(), [&](const auto& name) { return leaves(name); }))
    notices.emplace_back(
        "", used.empty() ? "`host_access` has no effect: no service is in a network of the project "
                           "(network = \"project\" puts it there)"
                         : "`host_access` has no effect: all networks of the project are internal");
}

bool NetworkTables::leaves(const std::string& network) const {
  const auto table = tables_.find(network);
  return table == tables_.end() || !table->second.config.internal;
}

/// Whose name it is in the network; empty: nobody's.
std::string NetworkTables::named(const std::string& network, const std::string& name) const {
  if (const auto names = names_.find(network); names != names_.end())
    if (const auto service = names->second.find(name); service != names->second.end())
      return service->second;
  // Services on the host are reached by name where something leaves the network.
  if (leaves(network))
    for (const ServiceSpec& service : texts_.in().spec.services)
      if (service.network.mode == Mode::host && to_lower(slug(service.name)) == name &&
          (service.auto_port || service.any_port() != 0))
        return service.name;
  return {};
}

void NetworkTables::read(const NetworkSpec& network) {
  Table& table = tables_[network.name];
  table.config.network = network.name;
  table.config.internal = network.internal;
  table.config.ipv6 = network.ipv6;
  subnet(network, table);
  allow(network, table);
  cni(network, table);
  outbound(network, table);
}

void NetworkTables::subnet(const NetworkSpec& network, Table& table) {
  if (network.subnet.empty()) return;
  const SourcePos at = table.subnet_at = network.subnet.at;
  const std::string text = texts_.text(network.subnet);
  if (texts_.failed(at)) return;
  const auto subnet = net::Subnet::parse(text);
  if (!subnet) return texts_.problem(at, subnet.error());
  const auto refuse = [&](std::string_view why, std::string_view hint) {
    texts_.problem(at, invalid(fmt::format("invalid subnet {}: {}", text, why), hint));
  };
  if (subnet->address.is_v6())
    return refuse("it is not an IPv4 network", "ipv6 = true adds IPv6 to a network");
  if (const auto range = reserved_in(*subnet))
    return refuse(fmt::format("it overlaps {}", *range), kSubnetHint);
  if (subnet->length < kShortest || subnet->length > kLongest)
    return refuse(
        subnet->length > kLongest ? "it has no room for services" : "it is too large",
        fmt::format("use a prefix from /{} to /{}, as in 10.100.0.0/24", kShortest, kLongest));
  if (subnet->network() != subnet->address)
    return refuse("that is an address in it",
                  "write " + net::Subnet{subnet->network(), subnet->length}.text());
  for (const auto& [name, other] : tables_)
    if (name != network.name && !other.config.subnet.empty() &&
        subnet_of(other.config.subnet).overlaps(*subnet))
      return texts_.problem(
          at, invalid(fmt::format("networks {} and {} overlap: {} (line {}) and {}", name,
                                  network.name, other.config.subnet, other.subnet_at.line, text),
                      "change the `subnet` of one of them"));
  if (!is_private(*subnet))
    notices_.emplace_back("", fmt::format("network {}: {} is not a private network; services that "
                                          "are in it do not reach the hosts that have its "
                                          "addresses",
                                          network.name, text));
  table.config.subnet = subnet->text();
}

void NetworkTables::allow(const NetworkSpec& network, Table& table) {
  for (const Text& each : network.allow) {
    const std::string text = texts_.text(each);
    if (texts_.failed(each.at)) continue;
    const auto subnet = net::Subnet::parse(text);
    if (!subnet) {
      texts_.problem(each.at, subnet.error());
      continue;
    }
    const bool v6 = subnet->address.is_v6();
    const auto refuse = [&](std::string_view why, std::string_view hint) {
      texts_.problem(each.at, invalid(fmt::format("`allow` of {}: {}", text, why), hint));
    };
    if (!lies_in(*subnet, v6 ? "fe80::/10" : "169.254.0.0/16"))
      refuse("it is not a link-local network",
             "`allow` is for networks in 169.254.0.0/16 and fe80::/10; other addresses are reached "
             "without it, and multicast never leaves a network");
    else if (network.internal)
      refuse("nothing leaves an internal network", "remove `allow`, or `internal`");
    else if (v6 && !network.ipv6)
      refuse("the network has no IPv6", "add ipv6 = true");
    else
      table.config.allow.push_back(net::Subnet{subnet->network(), subnet->length}.text());
  }
}

void NetworkTables::outbound(const NetworkSpec& network, Table& table) {
  using Outbound = NetworkSpec::Outbound;
  const SourcePos at = network.outbound_at;
  if (at.line == 0) return;
  if (network.internal && network.outbound != Outbound::none)
    return texts_.problem(at, invalid("`outbound`: nothing leaves an internal network",
                                      "remove `outbound`, or `internal`"));
  if (network.outbound == Outbound::none && !network.allow.empty())
    return texts_.problem(at, invalid("`outbound` = \"none\": what `allow` names is not reached",
                                      "remove `allow`, or `outbound`"));
  if (network.outbound == Outbound::none) table.config.outbound = "none";
  if (network.outbound != Outbound::pasta) return;
  table.config.outbound = "pasta";
  if (const auto& usable = texts_.in().programs.pasta)
    if (auto pasta = usable(); !pasta)
      texts_.problem(at, Error(pasta.error()).with_context("`outbound`"));
}

void NetworkTables::cni(const NetworkSpec& network, Table& table) {
  if (network.cni.empty()) return;
  const SourcePos at = network.cni.at;
  const std::string name = texts_.text(network.cni);
  if (texts_.failed(at)) return;
  const std::string path = texts_.in_project(name);
  const auto text = [&]() -> Result<std::string> {
    return TRY(texts_.judge().open(path, PathJudge::Use::look)).read(net::kMaxConflist);
  }();
  if (!text)
    return texts_.problem(at, Error(text.error())
                                  .with_context("`cni`")
                                  .with_hint("name a CNI configuration list, a file like "
                                             "back.conflist beside locald.toml"));
  auto list = net::Conflist::parse(*text);
  if (list)
    if (auto found = list->find_plugins(texts_.in().programs.cni_path); !found)
      list = found.error();
  if (!list) return texts_.problem(at, Error(list.error()).with_context("`cni`: " + name));
  table.takes_addresses = list->takes("ips");
  const auto without_effect = [&](SourcePos where, std::string_view key) {
    texts_.problem(where,
                   invalid(fmt::format("`{}` has no effect: the plugins of {} choose the addresses",
                                       key, name),
                           "give one of them \"capabilities\": {\"ips\": true}, as \"bridge\" has "
                           "with the ipam \"static\", or remove the key"));
  };
  if (!table.takes_addresses && !network.subnet.empty())
    return without_effect(network.subnet.at, "subnet");
  if (!table.takes_addresses && network.ipv6) return without_effect(network.at, "ipv6");
  // As it is now: a later start does not read the file again.
  table.config.cni = Json::parse(*text).value().dump();
}

MemberConfig NetworkTables::member(const ServiceSpec& service, const MemberSpec& member) {
  const auto table = tables_.find(member.network);
  MemberConfig out = table != tables_.end() ? table->second.config : MemberConfig();
  out.network = member.network;
  for (const Text& text : member.aliases) alias(service, member, text, out);
  if (!member.address.empty()) address(service, member, out);
  return out;
}

void NetworkTables::alias(const ServiceSpec& service, const MemberSpec& member, const Text& text,
                          MemberConfig& out) {
  const std::string written = texts_.text(text), name = to_lower(written);
  if (texts_.failed(text.at)) return;
  if (!valid_alias(name))
    return texts_.problem(text.at, invalid(fmt::format("\"{}\" cannot be an alias", written),
                                           "use letters, digits, -, _ and dots between them"));
  if (const std::string other = named(member.network, name);
      !other.empty() && other != service.name)
    return texts_.problem(
        text.at, invalid(fmt::format("alias {} of {} is the name of another service of network {}",
                                     name, service.name, member.network),
                         "choose another alias: a name leads to one service"));
  // Its own name it has anyway.
  if (name != to_lower(slug(service.name)) &&
      std::find(out.aliases.begin(), out.aliases.end(), name) == out.aliases.end())
    out.aliases.push_back(name);
}

void NetworkTables::address(const ServiceSpec& service, const MemberSpec& member,
                            MemberConfig& out) {
  const SourcePos at = member.address.at;
  const std::string text = texts_.text(member.address);
  if (texts_.failed(at)) return;
  const auto address = net::IpAddress::parse(text);
  if (!address) return texts_.problem(at, address.error());
  const auto table = tables_.find(member.network);
  if (table != tables_.end() && table->second.subnet_at.line != 0 && out.subnet.empty())
    return;  // its subnet is a problem
  if (table != tables_.end() && !table->second.takes_addresses)
    return texts_.problem(
        at, invalid(fmt::format("`address` of {}: the plugins of network {} choose the addresses",
                                service.name, member.network),
                    "give one of them \"capabilities\": {\"ips\": true}, or remove `address`"));
  if (out.subnet.empty())
    return texts_.problem(
        at, invalid(fmt::format("`address` of {}: network {} has no `subnet` that it could be in",
                                service.name, member.network),
                    fmt::format("write the `subnet` into [networks.{}]: {}", member.network,
                                "10.100.0.0/24")));
  const net::Subnet subnet = subnet_of(out.subnet);
  const auto refuse = [&](std::string_view why) {
    texts_.problem(at, invalid(fmt::format("`address` of {}: {} {}", service.name, text, why),
                               fmt::format("use one from {} to {}", subnet.address.plus(2).text(),
                                           subnet.address.plus(subnet.size() - 2).text())));
  };
  if (!subnet.contains(*address))
    return refuse(fmt::format("is not in network {} ({})", member.network, out.subnet));
  if (*address == subnet.network()) return refuse("is the network's own address");
  if (*address == subnet.address.plus(1)) return refuse("is the network's gateway");
  if (*address == subnet.address.plus(subnet.size() - 1))
    return refuse("is the network's broadcast address");
  const auto [first, fresh] =
      addresses_.emplace(std::pair(member.network, *address), std::pair(service.name, at));
  if (!fresh)
    return texts_.problem(
        at, invalid(fmt::format("{} (line {}) and {} both have the address {}", first->second.first,
                                first->second.second.line, service.name, text),
                    "give one of them another `address`"));
  out.address = address->text();
}

}  // namespace locald::project
