#include "project/resolve/resolve_network.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/ip_address.h"
#include "net/ports.h"
#include "project/project_check.h"
#include "project/resolve/interpolation.h"

namespace locald::project {
namespace {

using Mode = NetworkUse::Mode;

constexpr int kAppPort = 8080;           // of an app that says none
constexpr std::size_t kMaxPorts = 1000;  // of a service

/// One of `networks` as the service needs to know it.
MemberConfig member_config(Texts& texts, const MemberSpec& member) {
  MemberConfig out;
  out.network = member.network;
  for (const Text& alias : member.aliases) {
    std::string name = texts.text(alias);
    if (!texts.failed(alias.at) && !valid_name(name))
      texts.problem(alias.at,
                    Error(Errc::invalid_input, fmt::format("\"{}\" cannot be an alias", name))
                        .with_hint("small letters, digits, - and _"));
    out.aliases.push_back(std::move(name));
  }
  if (!member.address.empty()) {
    const std::string text = texts.text(member.address);
    auto address = net::IpAddress::parse(text);
    if (address)
      out.address = address->text();
    else
      texts.problem(member.address.at, address.error());
  }
  for (const NetworkSpec& network : texts.in().spec.networks) {
    if (network.name != member.network) continue;
    out.internal = network.internal;
    out.ipv6 = network.ipv6;
    const auto subnet = [&](const Text& text) {
      auto parsed = net::Subnet::parse(texts.text(text));
      if (!parsed) texts.problem(text.at, parsed.error());
      return parsed ? net::Subnet{parsed->network(), parsed->length}.text() : std::string();
    };
    if (!network.subnet.empty()) out.subnet = subnet(network.subnet);
    for (const Text& allowed : network.allow) out.allow.push_back(subnet(allowed));
  }
  return out;
}

int chosen(const Texts& texts, const std::string& key) {
  const auto it = texts.in().auto_ports.find(key);
  return it == texts.in().auto_ports.end() ? 0 : it->second;
}

void check_allowed(Texts& texts, SourcePos at, int port) {
  if (auto fine = net::check_port_allowed(port, texts.in().rights.first_port); !fine)
    texts.problem(at, fine.error());
}

void ports(Texts& texts, const ServiceSpec& spec, ServiceConfig& out) {
  const auto publish = [&](SourcePos at, PortConfig port) {
    if (out.ports.size() >= kMaxPorts)
      return texts.problem(
          at, Error(Errc::invalid_input,
                    fmt::format("{} publishes more than {} ports", spec.name, kMaxPorts)));
    if (port.port != 0 && !port.chosen()) check_allowed(texts, at, port.port);
    if (port.chosen()) {
      port.port = chosen(texts, port_key(spec.name, port));
      port.last = 0;
    }
    const auto same = [&](const PortConfig& other) {
      return other.port == port.port && other.udp == port.udp &&
             (other.address == port.address || other.address.empty() != port.address.empty());
    };
    if (port.port != 0 && std::any_of(out.ports.begin(), out.ports.end(), same))
      return texts.problem(at, Error(Errc::invalid_input, fmt::format("{} publishes port {} twice",
                                                                      spec.name, port.port)));
    out.ports.push_back(std::move(port));
  };
  for (const Text& text : spec.ports) {
    auto parsed = parse_ports(texts.text(text));
    if (texts.failed(text.at)) continue;
    if (!parsed) {
      texts.problem(text.at, parsed.error());
      continue;
    }
    for (PortConfig& port : *parsed) publish(text.at, std::move(port));
  }
}

}  // namespace

int container_port(const ServiceSpec& spec) {
  if (spec.network.mode == Mode::host || spec.kind == ServiceKind::exec) return spec.any_port();
  if (spec.container_port != 0) return spec.container_port;
  if (spec.kind == ServiceKind::cnb) return kAppPort;
  if (spec.port != 0) return spec.port;
  // The only one that is published.
  std::set<int> inside;
  for (const Text& text : spec.ports)
    if (const auto parsed = parse_ports(text.raw))
      for (const PortConfig& port : *parsed)
        if (!port.udp) inside.insert(port.container_port);
  return inside.size() == 1 ? *inside.begin() : 0;
}

std::set<std::string> reached_from_host(const ProjectSpec& spec) {
  std::set<std::string> out;
  for (const ServiceSpec& reader : spec.services) {
    if (reader.network.mode != Mode::host) continue;
    for (const Text* text : texts_of(reader)) {
      const auto references = service_references(text->raw);
      if (!references) continue;
      for (const Reference& reference : *references)
        if (const ServiceSpec* target = spec.find(reference.service);
            target != nullptr && target->network.mode == Mode::project && target->port == 0 &&
            !target->auto_port && target->ports.empty())
          out.insert(target->name);
    }
  }
  return out;
}

std::map<std::string, std::pair<int, int>> ports_to_choose(const ProjectSpec& spec) {
  std::map<std::string, std::pair<int, int>> out;
  for (const std::string& service : reached_from_host(spec)) out[service] = {0, 0};
  for (const ServiceSpec& s : spec.services) {
    if (s.auto_port) out[s.name] = {0, 0};
    for (const Text& text : s.ports)
      if (const auto parsed = parse_ports(text.raw))  // without variables, which are not known yet
        for (const PortConfig& port : *parsed)
          if (port.chosen()) out[port_key(s.name, port)] = {port.port, port.last};
  }
  return out;
}

void resolve_network(Texts& texts, const ServiceSpec& spec, ServiceConfig& out) {
  switch (spec.network.mode) {
    case Mode::unset:
    case Mode::host:
      out.port = texts.published(spec.name);
      if (out.port != 0) check_allowed(texts, spec.at, out.port);
      return;
    case Mode::none:
      out.network = "none";
      break;
    case Mode::service:
      out.network = "service:" + spec.network.service;
      break;
    case Mode::project:
      out.network = "project";
      break;
  }
  out.container_port = container_port(spec);
  for (const MemberSpec& member : spec.networks)
    out.networks.push_back(member_config(texts, member));
  out.host_access = texts.in().spec.host_access;
  ports(texts, spec, out);
  // `port`, or what another service on the host needs.
  out.port = texts.published(spec.name);
  if (out.port != 0 && out.container_port == 0 && spec.ports.empty() &&
      !texts.in().undecided.contains(spec.name))
    texts.problem(spec.port_at.line != 0 ? spec.port_at : spec.at, texts.no_port(spec.name));
  if (const int port = out.port;
      port != 0 && (spec.port != 0 || spec.auto_port || spec.ports.empty())) {
    check_allowed(texts, spec.port_at.line != 0 ? spec.port_at : spec.at, port);
    if (std::any_of(out.ports.begin(), out.ports.end(),
                    [&](const PortConfig& p) { return p.port == port && !p.udp; }))
      texts.problem(
          spec.port_at,
          Error(Errc::invalid_input,
                fmt::format("{} publishes port {} twice: `port` and `ports`", spec.name, port))
              .with_hint("remove one of the two"));
    else
      out.ports.insert(out.ports.begin(), {.address = "", .port = port, .container_port = 0});
  }
}

}  // namespace locald::project
