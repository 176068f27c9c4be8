#include "project/canonical_text.h"

#include <fmt/format.h>

#include "base/json/json_map.h"
#include "base/strings.h"

namespace locald::project {
namespace {

Json canonical_app(const cnb::AppSpec& app) {
  Json out = Json::object({{"project", app.project},
                           {"path", app.path},
                           {"builder", app.builder},
                           {"run_image", app.run_image},
                           {"base_dir", app.base_dir},
                           {"pull", app.pull},
                           {"env", json_of(app.env)},
                           {"bindings", json_of(app.bindings)},
                           {"host_ca", app.host_ca ? Json(*app.host_ca) : Json()},
                           {"host_ca_file", app.host_ca_file},
                           {"proxies", json_of(app.proxies)},
                           {"exec_env", app.exec_env},
                           {"live", app.live},
                           {"strict", app.strict},
                           {"timeout_ms", app.timeout.count()}});
  if (!app.variant.empty()) out.set("variant", app.variant);
  return out;
}

Json canonical_health(const HealthConfig& health) {
  return Json::object({{"kind", static_cast<int>(health.kind)},
                       {"host", health.host},
                       {"port", health.port},
                       {"path", health.path},
                       {"argv", health.argv},
                       {"pattern", health.pattern},
                       {"interval", health.interval.count()},
                       {"timeout", health.timeout.count()},
                       {"start_period", health.start_period.count()},
                       {"retries", health.retries}});
}

Json canonical_networks(const std::vector<MemberConfig>& networks) {
  Json out = Json::array();
  for (const MemberConfig& member : networks) {
    Json one = Json::object({{"network", member.network},
                             {"aliases", member.aliases},
                             {"address", member.address},
                             {"subnet", member.subnet},
                             {"internal", member.internal},
                             {"ipv6", member.ipv6},
                             {"allow", member.allow}});
    if (!member.cni.empty()) one.set("cni", member.cni);
    if (!member.outbound.empty()) one.set("outbound", member.outbound);
    out.push(std::move(one));
  }
  return out;
}

Json limits_json(const std::map<std::string, std::vector<std::int64_t>>& limits) {
  Json out = Json::object();
  for (const auto& [name, values] : limits) {
    Json both = Json::array();
    for (const std::int64_t value : values) both.push(value);
    out.set(name, std::move(both));
  }
  return out;
}

}  // namespace

Json canonical_form(const ServiceConfig& config) {
  Json depends = Json::array(), volumes = Json::array();
  for (const DependencyConfig& d : config.depends_on)
    depends.push(
        Json::object({{"service", d.service}, {"condition", static_cast<int>(d.condition)}}));
  for (const VolumeConfig& v : config.volumes)
    volumes.push(Json::object({{"kind", static_cast<int>(v.kind)},
                               {"source", v.source},
                               {"target", v.target},
                               {"read_only", v.read_only},
                               {"options", v.options}}));
  const RestartSpec& restart = config.restart;
  Json out = Json::object({{"name", config.name},
                           {"kind", static_cast<int>(config.kind)},
                           {"argv", config.argv},
                           {"cwd", config.cwd},
                           {"env", json_of(config.env)},
                           {"unset", config.unset},
                           {"port", config.port},
                           {"auto_port", config.auto_port},
                           {"depends_on", std::move(depends)},
                           {"health", canonical_health(config.health)},
                           {"restart", Json::object({{"mode", static_cast<int>(restart.mode)},
                                                     {"max", restart.max},
                                                     {"window", restart.window.count()}})},
                           {"stop_signal", config.stop_signal},
                           {"stop_timeout", config.stop_timeout.count()},
                           {"tty", config.tty},
                           {"image", config.image},
                           {"pull", static_cast<int>(config.pull)},
                           {"entrypoint", config.entrypoint},
                           {"volumes", std::move(volumes)},
                           {"user", config.user},
                           {"memory", config.memory},
                           {"cpus", config.cpus},
                           {"pids", config.pids}});
  if (config.init) out.set("init", true);
  // What is published is netd's affair: a container notices nothing of it, nor of where its checks
  // would ask if there were any.
  if (config.network != "host") {
    if (const auto kind = config.health.kind;
        kind != HealthSpec::Kind::http && kind != HealthSpec::Kind::tcp) {
      HealthConfig asks_nothing = config.health;
      asks_nothing.port = 0;
      out.set("health", canonical_health(asks_nothing));
    }
    out.set("port", 0);
    out.set("auto_port", false);
    out.set("network", config.network);
    out.set("networks", canonical_networks(config.networks));
    // An app has it in its environment.
    if (config.kind != ServiceKind::container) out.set("container_port", config.container_port);
    Json access = Json::array();
    for (const int port : config.host_access) access.push(port);
    out.set("host_access", std::move(access));
  }
  if (config.app) {
    out.set("app", canonical_app(*config.app));
    out.set("process", config.process);
    out.set("args", config.args);
    out.set("bindings", json_of(config.bindings));
  }
  if (!config.hostname.empty()) out.set("hostname", config.hostname);
  if (config.read_only) out.set("read_only", true);
  if (config.shm_size != 0) out.set("shm_size", config.shm_size);
  if (!config.cap_add.empty()) out.set("cap_add", config.cap_add);
  if (!config.cap_drop.empty()) out.set("cap_drop", config.cap_drop);
  if (!config.ulimits.empty()) out.set("ulimits", limits_json(config.ulimits));
  return out;
}

std::string canonical_text(const ServiceConfig& config) { return canonical_form(config).dump(); }

std::string configuration_id(const ServiceConfig& config) {
  return fmt::format("{:016x}", fnv1a(canonical_text(config)));
}

}  // namespace locald::project
