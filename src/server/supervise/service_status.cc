#include "server/supervise/service_status.h"

#include <fmt/format.h>

#include "base/units.h"
#include "net/endpoint.h"
#include "project/resolve/resolve_network.h"
#include "project/units.h"
#include "server/service_port.h"

namespace locald::server {
namespace {

/// What a service of kind cnb runs.
std::optional<ipc::ServiceApp> app_status(const project::ServiceConfig& config,
                                          const Json& content) {
  if (!config.app) return std::nullopt;
  ipc::ServiceApp out{
      .name = config.app->key(), .path = config.app->path, .live = config.app->live};
  if (!config.process.empty()) out.process = config.process;
  if (content["generation"].is_int())
    out.generation = static_cast<std::uint64_t>(content["generation"].as_int());
  if (content["built_at"].is_string()) out.built_at = content["built_at"].as_string();
  return out;
}

/// Why it is as it is; empty where there is nothing to say.
std::string reason_text(const Supervisor::Unit& unit, const std::string& probe_failure) {
  const ServiceState& s = unit.state;
  const std::string failure = probe_failure.empty() ? "" : ": " + probe_failure;
  if (!unit.trouble.empty() && s.busy())
    return "unresponsive: " + unit.trouble +
           (s.phase == Phase::stopping ? "" : "; it is left running");
  if (s.phase == Phase::running && unit.health == Health::starting)
    return "waits for its health check" + failure;
  if (s.phase == Phase::running && unit.health == Health::unhealthy)
    return "the health check fails" + failure;
  return s.reason;
}

std::optional<int> if_any(int number) { return number == 0 ? std::nullopt : std::optional(number); }

}  // namespace

ipc::ServiceStatus service_status(const std::string& name, const Supervisor::Unit& unit,
                                  const std::string& probe_failure) {
  const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
  // Where the network is not the host's, what is published may change while it runs.
  const bool elsewhere = config.network != "host" && unit.config->network == config.network;
  const project::ServiceConfig& published = elsewhere ? *unit.config : config;
  const ServiceState& s = unit.state;
  ipc::ServiceStatus out{.name = name,
                         .kind = std::string(to_string(config.kind)),
                         .state = std::string(to_string(s.phase)),
                         .health = std::string(to_string(unit.health)),
                         .pid = if_any(unit.pid),
                         .shim_pid = if_any(unit.shim_pid),
                         .port = if_any(published.port),
                         .restarts = s.history.restarts,
                         .network = config.network,
                         .app = app_status(config, unit.content)};
  const bool web = published.port != 0 && (config.kind != project::ServiceKind::container ||
                                           config.health.kind == project::HealthSpec::Kind::http);
  net::Endpoint endpoint = unit.endpoint.value_or(net::Endpoint());
  endpoint.port = static_cast<std::uint16_t>(published.port);
  // What listens on the port of one that failed is another process.
  if (web && s.phase != Phase::failed && !s.held_up) out.url = endpoint.url();
  if (config.network != "host") out.container_port = if_any(published.container_port);
  for (const project::PortConfig& port : published.ports) {
    const int inside = port.container_port != 0 ? port.container_port : published.container_port;
    out.ports.push_back(service_port(port, inside));
  }
  if (s.exit && s.exit->signal)
    out.signal = project::signal_name(*s.exit->signal);
  else if (s.exit)
    out.exit_code = s.exit->code;
  if (unit.pid != 0) out.started_at = time_text(unit.started_at, 3);
  if (std::string reason = reason_text(unit, probe_failure); !reason.empty())
    out.reason = std::move(reason);
  return out;
}

ipc::ServiceStatus stopped_status(const project::ServiceSpec& spec) {
  using Mode = project::NetworkUse::Mode;
  Supervisor::Unit unit;
  auto config = std::make_shared<project::ServiceConfig>();
  config->kind = spec.kind;
  config->health.kind = spec.health.kind;
  switch (spec.network.mode) {
    case Mode::unset:
    case Mode::host:
      config->port = spec.any_port();
      break;
    case Mode::none:
      config->network = "none";
      break;
    case Mode::service:
      config->network = "service:" + spec.network.service;
      break;
    case Mode::project:
      config->network = "project";
      config->port = spec.port;
      break;
  }
  config->container_port = project::container_port(spec);
  if (config->port != 0 && spec.network.mode == Mode::project)
    config->ports.push_back({.address = "", .port = config->port, .container_port = 0});
  // Without variables, which are not known here, and ports that are yet to be chosen.
  for (const project::Text& text : spec.ports)
    if (const auto parsed = project::parse_ports(text.raw))
      for (const project::PortConfig& port : *parsed)
        if (!port.chosen()) config->ports.push_back(port);
  unit.config = std::move(config);
  return service_status(spec.name, unit, {});
}

}  // namespace locald::server
