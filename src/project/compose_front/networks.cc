// Networks of a compose file, and the place of services in them.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/compose_front/front.h"

namespace locald::project::compose {
namespace {

constexpr std::string_view kService = "service:";

bool is_ipv6(std::string_view subnet) { return subnet.find(':') != std::string_view::npos; }

void read_pools(Front& front, const std::string& path, const Node& ipam, NetworkSpec& out) {
  const std::string& driver = ipam["driver"].as_string();
  if (!driver.empty() && driver != "default")
    (void)front.refuse(ipam["driver"], path + ".ipam.driver", "ipam",
                       fmt::format("there is no driver {}", driver));
  for (const Node& pool : ipam["config"].as_array()) {
    const Node& subnet = pool["subnet"];
    if (!subnet.is_string()) continue;
    if (is_ipv6(subnet.as_string()))
      front.idle("ipam.config.subnet of IPv6", "addresses are chosen for it");
    else if (out.subnet.empty())
      out.subnet = front.text(subnet);
    else
      (void)front.refuse(subnet, path + ".ipam.config", "ipam", "a network has one IPv4 subnet");
  }
}

void read_network(Front& front, const std::string& name, const Node& network) {
  const std::string path = member_path("networks", name);
  NetworkSpec out;
  out.name = name;
  out.at = front.key_at(network);
  if (network["external"].as_bool())
    (void)front.refuse(network["external"], path + ".external", "external",
                       "a network is one project's alone");
  const std::string& driver = network["driver"].as_string();
  if (!driver.empty() && driver != "bridge" && driver != "default")
    (void)front.refuse(network["driver"], path + ".driver", "driver",
                       fmt::format("networks are bridges, not {}", driver));
  if (const Node& v4 = network["enable_ipv4"]; v4.is_bool() && !v4.as_bool())
    (void)front.refuse(v4, path + ".enable_ipv4", "enable_ipv4", "networks have IPv4 addresses");
  out.internal = network["internal"].as_bool();
  out.ipv6 = network["enable_ipv6"].as_bool();
  read_pools(front, path, network["ipam"], out);
  if (name != kDefaultNetwork || out.internal || out.ipv6 || !out.subnet.empty())
    front.spec.networks.push_back(std::move(out));
}

/// The name by which other services know a container beside that of its service.
void add_container_name(Front& front, const Node& service, ServiceSpec& out) {
  const Node& name = service["container_name"];
  const std::string& text = name.as_string();
  if (text.empty() || text == out.name) return;
  if (!valid_alias(text) || front.model["services"].contains(text))
    return front.idle("container_name " + text, valid_alias(text)
                                                    ? "that is the name of another service"
                                                    : "it cannot be a name in a network");
  for (MemberSpec& member : out.networks) member.aliases.push_back(front.text(name));
}

/// @return false: it is in no network of the project's.
bool read_mode(Front& front, const Node& mode, ServiceSpec& out) {
  const std::string& text = mode.as_string();
  out.network.at = front.at(mode);
  if (text == "host") {
    out.network.mode = NetworkUse::Mode::host;
  } else if (text == "none") {
    out.network.mode = NetworkUse::Mode::none;
  } else if (text.starts_with(kService)) {
    out.network.mode = NetworkUse::Mode::service;
    out.network.service = text.substr(kService.size());
  } else {
    if (text != "bridge" && text != "default")
      (void)front.refuse(mode, fmt::format("services.{}.network_mode", out.name), "network_mode",
                         fmt::format("there is no network {}", text),
                         "host, none and service:NAME are known");
    out.network = {};
    return true;
  }
  return false;
}

std::string port_text(const Node& port, const std::string& publish_address) {
  std::string address = port["host_ip"].as_string();
  if (address.empty()) address = publish_address;
  if (is_ipv6(address)) address = "[" + address + "]";
  const std::string published = scalar_text(port["published"]);
  const std::string& protocol = port["protocol"].as_string();
  return fmt::format("{}{}{}{}{}{}", address, address.empty() ? "" : ":", published,
                     published.empty() && address.empty() ? "" : ":", scalar_text(port["target"]),
                     protocol == "udp" ? "/udp" : "");
}

}  // namespace

void read_networks(Front& front) {
  for (const auto& [name, network] : front.model["networks"].as_table())
    read_network(front, name, network);
  std::stable_sort(front.spec.networks.begin(), front.spec.networks.end(),
                   [](const NetworkSpec& a, const NetworkSpec& b) { return a.name < b.name; });
}

void read_service_network(Front& front, const Node& service, ServiceSpec& out) {
  const Node& mode = service["network_mode"];
  if (!mode.as_string().empty() && !read_mode(front, mode, out)) return;
  for (const auto& [name, member] : service["networks"].as_table()) {
    MemberSpec one;
    one.network = name;
    one.at = front.key_at(member);
    for (const Node& alias : member["aliases"].as_array()) one.aliases.push_back(front.text(alias));
    if (const Node& address = member["ipv4_address"]; !address.as_string().empty())
      one.address = front.text(address);
    out.networks.push_back(std::move(one));
  }
  if (out.networks.empty())
    out.networks.push_back(
        {.network = kDefaultNetwork, .aliases = {}, .address = {}, .at = out.at});
  add_container_name(front, service, out);
}

void read_links(Front& front) {
  const auto find = [&](const std::string& name) {
    return std::find_if(front.spec.services.begin(), front.spec.services.end(),
                        [&](const ServiceSpec& s) { return s.name == name; });
  };
  for (const auto& [name, service] : front.model["services"].as_table())
    for (const Node& link : service["links"].as_array()) {
      const std::vector<std::string> parts = split(link.as_string(), ':');
      const auto target = find(parts[0]);
      if (parts.size() != 2 || parts[1] == parts[0] || target == front.spec.services.end())
        continue;
      for (MemberSpec& member : target->networks)
        member.aliases.push_back(front.text(parts[1], link));
    }
}

void read_ports(Front& front, const Node& service, ServiceSpec& out) {
  const auto& ports = service["ports"].as_array();
  if (ports.empty()) return;
  if (out.network.mode == NetworkUse::Mode::host)
    return front.idle("ports of " + out.name, "it is in the host's network");
  for (const Node& port : ports) {
    if (port["protocol"].as_string() == "sctp") {
      (void)front.refuse(port, fmt::format("services.{}.ports", out.name), "sctp",
                         "TCP and UDP are published");
      continue;
    }
    const std::string text = port_text(port, front.options.publish_address);
    out.ports.push_back(front.text(text, port));
    if (port["host_ip"].as_string().empty() && front.options.publish_address.empty())
      front.on_loopback(text);
  }
}

}  // namespace locald::project::compose
