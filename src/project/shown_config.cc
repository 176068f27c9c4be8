#include "project/shown_config.h"

#include <string_view>
#include <utility>

#include "base/json/json_map.h"
#include "project/units.h"

namespace locald::project {
namespace {

/// Sets what is not at its default.
class Shown {
 public:
  void text(const char* key, const std::string& value) {
    if (!value.empty()) out_.set(key, value);
  }
  void words(const char* key, const std::vector<std::string>& value) {
    if (!value.empty()) out_.set(key, value);
  }
  template <typename T>
  void number(const char* key, T value) {
    if (value != 0) out_.set(key, value);
  }
  void yes(const char* key, bool value) {
    if (value) out_.set(key, true);
  }
  void json(const char* key, Json value) {
    if (!value.as_object().empty() || !value.as_array().empty()) out_.set(key, std::move(value));
  }
  Json& out() { return out_; }

 private:
  Json out_ = Json::object();
};

Json values(const std::map<std::string, std::string>& env, bool readable) {
  if (readable) return json_of(env);
  Json out = Json::object();
  for (const auto& [name, value] : env) out.set(name, "…");
  return out;
}

std::string_view word(DependsCondition condition) {
  switch (condition) {
    case DependsCondition::healthy:
      return "healthy";
    case DependsCondition::completed:
      return "completed";
    case DependsCondition::ready:
    case DependsCondition::started:
      break;
  }
  return "started";
}

std::string_view word(RestartMode mode) {
  switch (mode) {
    case RestartMode::on_failure:
      return "on-failure";
    case RestartMode::always:
      return "always";
    case RestartMode::unless_stopped:
      return "unless-stopped";
    case RestartMode::no:
      break;
  }
  return "no";
}

std::string_view word(PullPolicy policy) {
  switch (policy) {
    case PullPolicy::always:
      return "always";
    case PullPolicy::never:
      return "never";
    case PullPolicy::missing:
      break;
  }
  return "missing";
}

std::string_view word(VolumeConfig::Kind kind) {
  switch (kind) {
    case VolumeConfig::Kind::bind:
      return "bind";
    case VolumeConfig::Kind::anonymous:
      return "anonymous";
    case VolumeConfig::Kind::tmpfs:
      return "tmpfs";
    case VolumeConfig::Kind::named:
      break;
  }
  return "volume";
}

Json health(const HealthConfig& config) {
  Shown out;
  const std::string place = config.port != 0 ? config.host + ":" + std::to_string(config.port) : "";
  switch (config.kind) {
    case HealthSpec::Kind::none:
      return Json::object();
    case HealthSpec::Kind::http:
      out.out().set("http", config.path);
      out.text("at", place);
      break;
    case HealthSpec::Kind::tcp:
      out.out().set("tcp", place.empty() ? Json(true) : Json(place));
      break;
    case HealthSpec::Kind::exec:
      out.words("exec", config.argv);
      break;
    case HealthSpec::Kind::log:
      out.text("log", config.pattern);
      break;
    case HealthSpec::Kind::notify:
      out.yes("notify", true);
      break;
  }
  out.out().set("interval_ms", config.interval.count());
  out.out().set("timeout_ms", config.timeout.count());
  out.out().set("start_period_ms", config.start_period.count());
  out.out().set("retries", config.retries);
  return std::move(out.out());
}

Json mounts(const std::vector<VolumeConfig>& volumes) {
  Json out = Json::array();
  for (const VolumeConfig& volume : volumes) {
    Shown mount;
    mount.out().set("type", word(volume.kind));
    mount.text("source", volume.source);
    mount.text("target", volume.target);
    mount.yes("read_only", volume.read_only);
    mount.text("options", volume.options);
    out.push(std::move(mount.out()));
  }
  return out;
}

Json networks(const std::vector<MemberConfig>& members) {
  Json out = Json::array();
  for (const MemberConfig& member : members) {
    Shown network;
    network.text("name", member.network);
    network.words("aliases", member.aliases);
    network.text("address", member.address);
    network.text("subnet", member.subnet);
    network.yes("internal", member.internal);
    network.yes("ipv6", member.ipv6);
    network.words("allow", member.allow);
    out.push(std::move(network.out()));
  }
  return out;
}

Json ports(const std::vector<PortConfig>& ports) {
  Json out = Json::array();
  for (const PortConfig& port : ports) {
    Shown shown;
    shown.out().set("port", port.port);
    shown.number("container_port", port.container_port);
    shown.text("address", port.address);
    shown.yes("udp", port.udp);
    out.push(std::move(shown.out()));
  }
  return out;
}

Json watched(const std::vector<WatchConfig>& watch) {
  Json out = Json::array();
  for (const WatchConfig& one : watch) {
    Shown shown;
    shown.words("paths", one.paths);
    shown.words("ignore", one.ignore);
    out.push(std::move(shown.out()));
  }
  return out;
}

Json app_of(const cnb::AppSpec& app, bool env) {
  Shown out;
  out.text("path", app.path);
  out.text("builder", app.builder);
  out.text("run_image", app.run_image);
  out.json("env", values(app.env, env));
  out.json("bindings", json_of(app.bindings));
  out.text("exec_env", app.exec_env);
  out.words("sync", app.live);
  out.yes("strict", app.strict);
  out.number("timeout_ms", app.timeout.count());
  return std::move(out.out());
}

}  // namespace

Json shown(const ServiceConfig& config, bool env) {
  Shown out;
  out.out().set("type", to_string(config.kind));
  out.text("image", config.image);
  out.words("entrypoint", config.entrypoint);
  out.words("command", config.argv);
  out.text("process", config.process);
  out.words("args", config.args);
  out.text("workdir", config.cwd);
  out.text("user", config.user);
  out.json("env", values(config.env, env));
  out.words("unset", config.unset);
  out.number("port", config.port);
  out.number("container_port", config.container_port);
  out.json("ports", ports(config.ports));
  out.text("network", config.network);
  out.json("networks", networks(config.networks));
  Json access = Json::array();
  for (const int port : config.host_access) access.push(port);
  out.json("host_access", std::move(access));
  out.json("mounts", mounts(config.volumes));
  Shown limits;
  limits.number("memory", config.memory);
  limits.number("cpus", config.cpus);
  limits.number("pids", config.pids);
  out.json("limits", std::move(limits.out()));
  Json depends = Json::object();
  for (const DependencyConfig& d : config.depends_on) depends.set(d.service, word(d.condition));
  out.json("depends_on", std::move(depends));
  out.json("health", health(config.health));
  Shown restart;
  restart.out().set("policy", word(config.restart.mode));
  restart.number("max", config.restart.max);
  restart.number("window_ms", config.restart.window.count());
  out.json("restart", std::move(restart.out()));
  out.text("stop_signal", config.stop_signal != 0 ? signal_name(config.stop_signal) : "");
  out.out().set("stop_timeout_ms", config.stop_timeout.count());
  out.yes("tty", config.tty);
  out.yes("init", config.init);
  out.text("hostname", config.hostname);
  out.yes("read_only", config.read_only);
  out.number("shm_size", config.shm_size);
  out.words("cap_add", config.cap_add);
  out.words("cap_drop", config.cap_drop);
  Json ulimits = Json::object();
  for (const auto& [name, values] : config.ulimits) {
    Json both = Json::array();
    for (const std::int64_t value : values) both.push(value);
    ulimits.set(name, std::move(both));
  }
  out.json("ulimits", std::move(ulimits));
  out.yes("once", config.once);
  out.json("watch", watched(config.watch));
  if (config.kind != ServiceKind::exec) out.out().set("pull", word(config.pull));
  if (config.app) out.json("build", app_of(*config.app, env));
  out.json("bindings", json_of(config.bindings));
  return std::move(out.out());
}

}  // namespace locald::project
