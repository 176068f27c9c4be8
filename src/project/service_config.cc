#include "project/service_config.h"

#include <fmt/format.h>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "project/units.h"

namespace locald {

// Records have these as numbers.
template <>
struct EnumNumbers<project::ServiceKind> {
  static constexpr int kLast = static_cast<int>(project::ServiceKind::cnb);
};
template <>
struct EnumNumbers<project::DependsCondition> {
  static constexpr int kLast = static_cast<int>(project::DependsCondition::completed);
};
template <>
struct EnumNumbers<project::HealthSpec::Kind> {
  static constexpr int kLast = static_cast<int>(project::HealthSpec::Kind::notify);
};
template <>
struct EnumNumbers<project::RestartMode> {
  static constexpr int kLast = static_cast<int>(project::RestartMode::unless_stopped);
};
template <>
struct EnumNumbers<project::PullPolicy> {
  static constexpr int kLast = static_cast<int>(project::PullPolicy::never);
};
template <>
struct EnumNumbers<project::VolumeConfig::Kind> {
  static constexpr int kLast = static_cast<int>(project::VolumeConfig::Kind::tmpfs);
};

namespace {

const Fields& dependency_fields() {
  static const Fields table = FieldsOf<project::DependencyConfig>("dependency")
                                  .required("service", &project::DependencyConfig::service, "")
                                  .always("condition", &project::DependencyConfig::condition, "");
  return table;
}

const Fields& volume_fields() {
  using V = project::VolumeConfig;
  static const Fields table = FieldsOf<V>("volume")
                                  .always("kind", &V::kind, "")
                                  .always("source", &V::source, "")
                                  .always("target", &V::target, "")
                                  .always("read_only", &V::read_only, "")
                                  .always("options", &V::options, "");
  return table;
}

const Fields& member_fields() {
  using M = project::MemberConfig;
  static const Fields table = FieldsOf<M>("network")
                                  .required("network", &M::network, "")
                                  .field("aliases", &M::aliases, "")
                                  .field("address", &M::address, "")
                                  .field("subnet", &M::subnet, "")
                                  .field("internal", &M::internal, "")
                                  .field("ipv6", &M::ipv6, "")
                                  .field("allow", &M::allow, "")
                                  .field("cni", &M::cni, "")
                                  .field("outbound", &M::outbound, "");
  return table;
}

const Fields& watch_fields() {
  using W = project::WatchConfig;
  static const Fields table =
      FieldsOf<W>("watch").field("paths", &W::paths, "").field("ignore", &W::ignore, "");
  return table;
}

const Fields& port_fields() {
  using P = project::PortConfig;
  static const Fields table = FieldsOf<P>("port")
                                  .field("address", &P::address, "")
                                  .always("port", &P::port, "")
                                  .field("container_port", &P::container_port, "")
                                  .field("udp", &P::udp, "");
  return table;
}

const Fields& health_fields() {
  using H = project::HealthConfig;
  static const Fields table = FieldsOf<H>("health")
                                  .always("kind", &H::kind, "")
                                  .always("host", &H::host, "")
                                  .always("port", &H::port, "")
                                  .always("path", &H::path, "")
                                  .always("argv", &H::argv, "")
                                  .always("pattern", &H::pattern, "")
                                  .always("interval", &H::interval, "ms")
                                  .always("timeout", &H::timeout, "ms")
                                  .always("start_period", &H::start_period, "ms")
                                  .always("retries", &H::retries, "");
  return table;
}

const Fields& restart_fields() {
  static const Fields table = FieldsOf<project::RestartSpec>("restart")
                                  .always("mode", &project::RestartSpec::mode, "")
                                  .always("max", &project::RestartSpec::max, "")
                                  .always("window", &project::RestartSpec::window, "ms");
  return table;
}

}  // namespace

namespace fields {

template <>
struct Of<project::DependencyConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &dependency_fields};
};
template <>
struct Of<project::VolumeConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &volume_fields};
};
template <>
struct Of<project::MemberConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &member_fields};
};
template <>
struct Of<project::WatchConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &watch_fields};
};
template <>
struct Of<project::PortConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &port_fields};
};
template <>
struct Of<project::HealthConfig> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &health_fields};
};
template <>
struct Of<project::RestartSpec> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &restart_fields};
};

}  // namespace fields

namespace project {
namespace {

/// All but what only an app has.
const Fields& service_fields() {
  using S = ServiceConfig;
  static const Fields table = FieldsOf<S>("service")
                                  .required("name", &S::name, "")
                                  .always("kind", &S::kind, "")
                                  .always("argv", &S::argv, "")
                                  .always("cwd", &S::cwd, "")
                                  .always("env", &S::env, "")
                                  .always("unset", &S::unset, "")
                                  .always("port", &S::port, "")
                                  .always("auto_port", &S::auto_port, "")
                                  .always("depends_on", &S::depends_on, "")
                                  .always("health", &S::health, "")
                                  .always("restart", &S::restart, "")
                                  .always("stop_signal", &S::stop_signal, "")
                                  .always("stop_timeout", &S::stop_timeout, "ms")
                                  .always("tty", &S::tty, "")
                                  .always("image", &S::image, "")
                                  .always("pull", &S::pull, "")
                                  .always("entrypoint", &S::entrypoint, "")
                                  .always("volumes", &S::volumes, "")
                                  .always("user", &S::user, "")
                                  .always("memory", &S::memory, "bytes")
                                  .always("cpus", &S::cpus, "")
                                  .always("pids", &S::pids, "")
                                  .field("init", &S::init, "")
                                  .field("hostname", &S::hostname, "")
                                  .field("read_only", &S::read_only, "")
                                  .field("shm_size", &S::shm_size, "bytes")
                                  .field("cap_add", &S::cap_add, "")
                                  .field("cap_drop", &S::cap_drop, "")
                                  .field("ulimits", &S::ulimits, "{NAME: [soft, hard]}")
                                  .field("once", &S::once, "")
                                  .field("watch", &S::watch, "")
                                  .field("network", &S::network, "")
                                  .field("networks", &S::networks, "")
                                  .field("container_port", &S::container_port, "")
                                  .field("ports", &S::ports, "")
                                  .field("host_access", &S::host_access, "");
  return table;
}

/// What an app has besides.
struct AppPart {
  Json app;
  std::string process;
  std::vector<std::string> args;
  std::map<std::string, std::string> bindings;

  static const Fields& fields() {
    using A = AppPart;
    static const Fields table = FieldsOf<A>("service")
                                    .always("app", &A::app, "an AppSpec")
                                    .always("process", &A::process, "")
                                    .always("args", &A::args, "")
                                    .always("bindings", &A::bindings, "");
    return table;
  }
};

/// A UserContext as it is written; no limit is null or -1.
struct UserRecord {
  std::map<std::string, std::string> env;
  unsigned umask = 022;
  std::map<std::string, std::vector<std::optional<std::int64_t>>> rlimits;
  std::vector<std::string> login_files;

  static const Fields& fields() {
    using U = UserRecord;
    static const Fields table = FieldsOf<U>("user")
                                    .always("env", &U::env, "")
                                    .always("umask", &U::umask, "")
                                    .always("rlimits", &U::rlimits, "{NAME: [soft, hard]}")
                                    .always("login_files", &U::login_files, "");
    return table;
  }
};

}  // namespace

Json UserContext::to_json() const {
  UserRecord out{.env = env, .umask = umask, .rlimits = {}, .login_files = login_files};
  for (const auto& [name, limit] : rlimits)
    out.rlimits[name] = {static_cast<std::int64_t>(limit.first),
                         static_cast<std::int64_t>(limit.second)};
  return encode(out);
}

Result<UserContext> UserContext::from_json(const Json& json) {
  UserRecord read = TRY(decode<UserRecord>(json, Reading::tolerant));
  for (const auto& [name, value] : read.env)
    if (name.empty() || name.find('=') != std::string::npos)
      return Error(Errc::invalid_input, fmt::format("env: \"{}\" is not a variable's name", name));
  if (read.umask > 0777)
    return Error(Errc::invalid_input, fmt::format("invalid umask {}", read.umask));
  UserContext out{.env = std::move(read.env),
                  .umask = read.umask,
                  .rlimits = {},
                  .login_files = std::move(read.login_files)};
  for (const auto& [name, pair] : read.rlimits) {
    if (pair.size() != 2)
      return Error(Errc::invalid_input, fmt::format("rlimits: {} is not [soft, hard]", name));
    out.rlimits[name] = {static_cast<std::uint64_t>(pair[0].value_or(-1)),
                         static_cast<std::uint64_t>(pair[1].value_or(-1))};
  }
  return out;
}

Json ServiceConfig::to_json() const {
  Json out = service_fields().encode(this);
  if (!app) return out;
  const Json more = encode(AppPart{app->to_json(), process, args, bindings});
  for (const auto& [key, value] : more.as_object()) out.set(key, value);
  return out;
}

Result<ServiceConfig> ServiceConfig::from_json(const Json& json) {
  ServiceConfig out;
  TRY(service_fields().decode(json, &out, Reading::tolerant));
  if (!json.contains("app")) return out;
  AppPart more = TRY(decode<AppPart>(json, Reading::tolerant));
  out.app = TRY(cnb::AppSpec::from_json(more.app));
  out.process = std::move(more.process);
  out.args = std::move(more.args);
  out.bindings = std::move(more.bindings);
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

}  // namespace project
}  // namespace locald
