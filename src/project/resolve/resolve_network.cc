#include "project/resolve/resolve_network.h"

#include <fmt/format.h>

#include "net/ports.h"
#include "project/project_check.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/low_ports.h"
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

/// What a service publishes.
class Ports {
 public:
  Ports(Texts& texts, PortClaims& claims, const ServiceSpec& spec, ServiceConfig& out,
        NetworkTables::Notices& notices)
      : texts_(texts), claims_(claims), spec_(spec), out_(out), notices_(notices) {}

  void publish(SourcePos at, PortConfig port) {
    if (out_.ports.size() >= kMaxPorts)
      return texts_.problem(
          at, Error(Errc::invalid_input,
                    fmt::format("{} publishes more than {} ports", spec_.name, kMaxPorts)));
    const std::string key = port_key(spec_.name, port);
    port = allowed(at, port);
    if (port.chosen()) {
      port.port = chosen(texts_, key);
      port.last = 0;
    }
    if (claims_.publish(spec_, at, port)) out_.ports.push_back(std::move(port));
  }

  void publish_all() {
    for (const Text& text : spec_.ports) {
      auto parsed = parse_ports(texts_.text(text));
      if (texts_.failed(text.at)) continue;
      if (!parsed) {
        texts_.problem(text.at, parsed.error());
        continue;
      }
      for (PortConfig& port : *parsed) publish(text.at, std::move(port));
    }
  }

 private:
  /// @return where it is published, after what there is to say of that was said.
  PortConfig allowed(SourcePos at, const PortConfig& port) {
    const LowPorts low(texts_.in().spec, texts_.in().rights);
    PortConfig whole = port;
    if (whole.container_port == 0) whole.container_port = out_.container_port;
    if (auto fine = low.check(whole); !fine) texts_.problem(at, fine.error());
    PortConfig moved = low.moved(port);
    if (moved != port)
      notices_.emplace_back(spec_.name,
                            fmt::format("port {} needs privileges: it is published at {} instead",
                                        port.port, moved.port));
    return moved;
  }

  Texts& texts_;
  PortClaims& claims_;
  const ServiceSpec& spec_;
  ServiceConfig& out_;
  NetworkTables::Notices& notices_;
};

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

std::map<std::string, std::pair<int, int>> ports_to_choose(const ProjectSpec& spec,
                                                           const LowPorts& low) {
  std::map<std::string, std::pair<int, int>> out;
  for (const std::string& service : reached_from_host(spec)) out[service] = {0, 0};
  for (const ServiceSpec& s : spec.services) {
    if (s.auto_port) out[s.name] = {0, 0};
    for (const Text& text : s.ports)
      if (const auto parsed = parse_ports(text.raw))  // without variables, which are not known yet
        for (const PortConfig& port : *parsed)
          if (port.chosen())
            out[port_key(s.name, port)] = {low.moved(port).port, low.moved(port).last};
  }
  return out;
}

void resolve_network(Texts& texts, NetworkTables& networks, PortClaims& claims,
                     const ServiceSpec& spec, ServiceConfig& out, NetworkTables::Notices& notices) {
  const SourcePos port_at = spec.port_at.line != 0 ? spec.port_at : spec.at;
  switch (spec.network.mode) {
    case Mode::unset:
    case Mode::host:
      out.port = texts.published(spec.name);
      if (auto fine = net::check_port_allowed(out.port, texts.in().rights.first_port);
          out.port != 0 && !fine)
        texts.problem(port_at, fine.error());
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
  Ports ports(texts, claims, spec, out, notices);
  if (out.port != 0 && (spec.port != 0 || spec.auto_port || spec.ports.empty()))
    ports.publish(
        port_at,
        {.address = "", .port = spec.port != 0 ? spec.port : out.port, .container_port = 0});
  ports.publish_all();
}

}  // namespace locald::project
