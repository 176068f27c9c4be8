#include "project/resolve/resolve_network.h"

#include <fmt/format.h>

#include "net/ports.h"
#include "project/project_check.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/network_tables.h"
#include "project/resolve/port_claims.h"

namespace locald::project {
namespace {

using Mode = NetworkUse::Mode;

constexpr int kAppPort = 8080;           // of an app that says none
constexpr std::size_t kMaxPorts = 1000;  // of a service

int chosen(const Texts& texts, const std::string& key) {
  const auto it = texts.in().auto_ports.find(key);
  return it == texts.in().auto_ports.end() ? 0 : it->second;
}

void check_allowed(Texts& texts, SourcePos at, int port) {
  if (auto fine = net::check_port_allowed(port, texts.in().rights.first_port); !fine)
    texts.problem(at, fine.error());
}

void ports(Texts& texts, PortClaims& claims, const ServiceSpec& spec, ServiceConfig& out) {
  const auto publish = [&](SourcePos at, PortConfig port) {
    if (out.ports.size() >= kMaxPorts)
      return texts.problem(
          at, Error(Errc::invalid_input,
                    fmt::format("{} publishes more than {} ports", spec.name, kMaxPorts)));
    if (port.port != 0) check_allowed(texts, at, port.last != 0 ? port.last : port.port);
    if (port.chosen()) {
      port.port = chosen(texts, port_key(spec.name, port));
      port.last = 0;
    }
    if (claims.publish(spec, at, port)) out.ports.push_back(std::move(port));
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

void resolve_network(Texts& texts, NetworkTables& networks, PortClaims& claims,
                     const ServiceSpec& spec, ServiceConfig& out) {
  const SourcePos port_at = spec.port_at.line != 0 ? spec.port_at : spec.at;
  switch (spec.network.mode) {
    case Mode::unset:
    case Mode::host:
      out.port = texts.published(spec.name);
      if (out.port != 0) check_allowed(texts, port_at, out.port);
      claims.listen(spec, port_at, out.port);
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
    out.networks.push_back(networks.member(spec, member));
  out.host_access = texts.in().spec.host_access;
  // `port`, or what another service on the host needs, before `ports`: it is the one of `status`.
  out.port = texts.published(spec.name);
  if (out.port != 0 && out.container_port == 0 && spec.ports.empty() &&
      !texts.in().undecided.contains(spec.name))
    texts.problem(port_at, texts.no_port(spec.name));
  const PortConfig port{.address = "", .port = out.port, .container_port = 0};
  if (out.port != 0 && (spec.port != 0 || spec.auto_port || spec.ports.empty())) {
    check_allowed(texts, port_at, out.port);
    if (claims.publish(spec, port_at, port)) out.ports.push_back(port);
  }
  ports(texts, claims, spec, out);
}

}  // namespace locald::project
