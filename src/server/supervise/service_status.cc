#include "server/supervise/service_status.h"

#include <fmt/format.h>

#include "base/units.h"
#include "net/endpoint.h"
#include "net/network.h"
#include "project/units.h"

namespace locald::server {
namespace {

/// What a service of kind cnb runs; null for the others.
Json app_json(const project::ServiceConfig& config, const Json& content) {
  if (!config.app) return {};
  return Json::object({{"name", config.app->key()},
                       {"path", config.app->path},
                       {"process", config.process.empty() ? Json() : Json(config.process)},
                       {"generation", content["generation"]},
                       {"built_at", content["built_at"]},
                       {"live", config.app->live}});
}

}  // namespace

Json status_json(const std::string& name, const Supervisor::Unit& unit,
                 const std::string& probe_failure) {
  const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
  const ServiceState& s = unit.state;
  const bool web = config.port != 0 && (config.kind != project::ServiceKind::container ||
                                        config.health.kind == project::HealthSpec::Kind::http);
  // What listens on the port of one that failed is another process.
  const bool never_ran = s.phase == Phase::failed || s.held_up;
  Json reason = s.reason.empty() ? Json() : Json(s.reason);
  if (s.phase == Phase::running && unit.health == Health::starting)
    reason = "waits for its health check" +
             (probe_failure.empty() ? std::string() : ": " + probe_failure);
  if (s.phase == Phase::running && unit.health == Health::unhealthy)
    reason =
        "the health check fails" + (probe_failure.empty() ? std::string() : ": " + probe_failure);
  if (!unit.trouble.empty() && s.busy())
    reason = "unresponsive: " + unit.trouble +
             (s.phase == Phase::stopping ? "" : "; it is left running");
  Json exit_code, signal;
  if (s.exit && s.exit->code && !s.exit->signal) exit_code = *s.exit->code;
  if (s.exit && s.exit->signal) signal = project::signal_name(*s.exit->signal);
  net::Endpoint endpoint = unit.endpoint.value_or(net::Endpoint());
  endpoint.port = static_cast<std::uint16_t>(config.port);
  return Json::object({{"name", name},
                       {"kind", to_string(config.kind)},
                       {"state", to_string(s.phase)},
                       {"health", to_string(unit.health)},
                       {"pid", unit.pid == 0 ? Json() : Json(unit.pid)},
                       {"shim_pid", unit.shim_pid == 0 ? Json() : Json(unit.shim_pid)},
                       {"port", config.port == 0 ? Json() : Json(config.port)},
                       {"url", web && !never_ran ? Json(endpoint.url()) : Json()},
                       {"exit_code", exit_code},
                       {"signal", signal},
                       {"restarts", s.history.restarts},
                       {"started_at", unit.pid == 0 ? Json() : Json(time_text(unit.started_at, 3))},
                       {"reason", reason},
                       {"network", net::HostNetwork::kName},
                       {"app", app_json(config, unit.content)}});
}

Json status_json_stopped(const project::ServiceSpec& spec) {
  Supervisor::Unit unit;
  auto config = std::make_shared<project::ServiceConfig>();
  config->kind = spec.kind;
  config->port = spec.any_port();
  config->health.kind = spec.health.kind;
  unit.config = std::move(config);
  return status_json(spec.name, unit, {});
}

}  // namespace locald::server
