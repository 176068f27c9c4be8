#include "project/service_config.h"

#include <fmt/format.h>

#include "base/json/json_map.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/units.h"

namespace locald::project {
namespace {

std::map<std::string, std::string> map_of(const Json& json) {
  std::map<std::string, std::string> out;
  for (const auto& [k, v] : json.as_object()) out[k] = v.as_string();
  return out;
}

template <typename E>
E enum_of(const Json& json) {
  return static_cast<E>(json.as_int());
}

}  // namespace

Json UserContext::to_json() const {
  Json limits = Json::object();
  for (const auto& [name, pair] : rlimits)
    limits.set(name, Json::array({static_cast<std::int64_t>(pair.first),
                                  static_cast<std::int64_t>(pair.second)}));
  return Json::object(
      {{"env", json_of(env)}, {"umask", umask}, {"rlimits", limits}, {"login_files", login_files}});
}

Result<UserContext> UserContext::from_json(const Json& json) {
  UserContext out;
  for (const auto& [name, value] : json["env"].as_object()) {
    if (name.empty() || name.find('=') != std::string::npos || !value.is_string())
      return Error(Errc::invalid_input,
                   fmt::format("env: \"{}\" is not a variable with a string", name));
    out.env[name] = value.as_string();
  }
  const std::int64_t umask = TRY(json.get_int_or("umask", 022));
  if (umask < 0 || umask > 0777)
    return Error(Errc::invalid_input, fmt::format("invalid umask {}", umask));
  out.umask = static_cast<unsigned>(umask);
  for (const auto& [name, pair] : json["rlimits"].as_object()) {
    const auto& values = pair.as_array();
    if (values.size() != 2)
      return Error(Errc::invalid_input, fmt::format("rlimits: {} is not [soft, hard]", name));
    // No limit is null or -1 in JSON.
    out.rlimits[name] = {static_cast<std::uint64_t>(values[0].as_int(-1)),
                         static_cast<std::uint64_t>(values[1].as_int(-1))};
  }
  out.login_files = json["login_files"].as_strings();
  return out;
}

Json ServiceConfig::to_json() const {
  Json depends = Json::array();
  for (const DependencyConfig& d : depends_on)
    depends.push(
        Json::object({{"service", d.service}, {"condition", static_cast<int>(d.condition)}}));
  Json mounts = Json::array();
  for (const VolumeConfig& v : volumes)
    mounts.push(Json::object({{"kind", static_cast<int>(v.kind)},
                              {"source", v.source},
                              {"target", v.target},
                              {"read_only", v.read_only},
                              {"options", v.options}}));
  const Json check = Json::object({{"kind", static_cast<int>(health.kind)},
                                   {"host", health.host},
                                   {"port", health.port},
                                   {"path", health.path},
                                   {"argv", health.argv},
                                   {"pattern", health.pattern},
                                   {"interval", health.interval.count()},
                                   {"timeout", health.timeout.count()},
                                   {"start_period", health.start_period.count()},
                                   {"retries", health.retries}});
  Json out = Json::object({{"name", name},
                           {"kind", static_cast<int>(kind)},
                           {"argv", argv},
                           {"cwd", cwd},
                           {"env", json_of(env)},
                           {"unset", unset},
                           {"port", port},
                           {"auto_port", auto_port},
                           {"depends_on", depends},
                           {"health", check},
                           {"restart", Json::object({{"mode", static_cast<int>(restart.mode)},
                                                     {"max", restart.max},
                                                     {"window", restart.window.count()}})},
                           {"stop_signal", stop_signal},
                           {"stop_timeout", stop_timeout.count()},
                           {"tty", tty},
                           {"image", image},
                           {"pull", static_cast<int>(pull)},
                           {"entrypoint", entrypoint},
                           {"volumes", mounts},
                           {"user", user},
                           {"memory", memory},
                           {"cpus", cpus},
                           {"pids", pids}});
  // Only where it is so: the text names a container's writable folder, and says the same as before
  // of all that do not have it.
  if (init) out.set("init", true);
  if (app) {
    out.set("app", app->to_json());
    out.set("process", process);
    out.set("args", args);
    out.set("bindings", json_of(bindings));
  }
  return out;
}

Result<ServiceConfig> ServiceConfig::from_json(const Json& json) {
  ServiceConfig out;
  out.name = TRY(json.get_string("name"));
  out.kind = enum_of<ServiceKind>(json["kind"]);
  out.argv = json["argv"].as_strings();
  out.cwd = json["cwd"].as_string();
  out.env = map_of(json["env"]);
  out.unset = json["unset"].as_strings();
  out.port = static_cast<int>(json["port"].as_int());
  out.auto_port = json["auto_port"].as_bool();
  for (const Json& d : json["depends_on"].as_array())
    out.depends_on.push_back({d["service"].as_string(), enum_of<DependsCondition>(d["condition"])});
  const Json& h = json["health"];
  out.health.kind = enum_of<HealthSpec::Kind>(h["kind"]);
  out.health.host = h["host"].as_string();
  out.health.port = static_cast<int>(h["port"].as_int());
  out.health.path = h["path"].as_string();
  out.health.argv = h["argv"].as_strings();
  out.health.pattern = h["pattern"].as_string();
  out.health.interval = Milliseconds(h["interval"].as_int(2000));
  out.health.timeout = Milliseconds(h["timeout"].as_int(1000));
  out.health.start_period = Milliseconds(h["start_period"].as_int(30000));
  out.health.retries = static_cast<int>(h["retries"].as_int(3));
  const Json& r = json["restart"];
  out.restart = {enum_of<RestartMode>(r["mode"]), static_cast<int>(r["max"].as_int()),
                 Milliseconds(r["window"].as_int())};
  out.stop_signal = static_cast<int>(json["stop_signal"].as_int());
  out.stop_timeout = Milliseconds(json["stop_timeout"].as_int(10000));
  out.tty = json["tty"].as_bool();
  out.image = json["image"].as_string();
  out.pull = enum_of<PullPolicy>(json["pull"]);
  out.entrypoint = json["entrypoint"].as_strings();
  for (const Json& v : json["volumes"].as_array())
    out.volumes.push_back({enum_of<VolumeConfig::Kind>(v["kind"]), v["source"].as_string(),
                           v["target"].as_string(), v["read_only"].as_bool(),
                           v["options"].as_string()});
  out.user = json["user"].as_string();
  out.memory = static_cast<std::uint64_t>(json["memory"].as_int());
  out.cpus = json["cpus"].as_double();
  out.pids = static_cast<int>(json["pids"].as_int());
  out.init = json["init"].as_bool();
  if (json.contains("app")) {
    out.app = TRY(cnb::AppSpec::from_json(json["app"]));
    out.process = json["process"].as_string();
    out.args = json["args"].as_strings();
    out.bindings = map_of(json["bindings"]);
  }
  return out;
}

std::vector<SharedFolder> shared_folders(const std::string& project, const std::string& service,
                                         const std::vector<VolumeConfig>& volumes) {
  std::vector<SharedFolder> out;
  for (const VolumeConfig& volume : volumes)
    if (volume.kind == VolumeConfig::Kind::bind && !volume.read_only)
      out.push_back({volume.source, fmt::format("service {} of project {}", service, project)});
  return out;
}

}  // namespace locald::project
