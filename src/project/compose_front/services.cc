// A service of a compose file, but its networks and volumes.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/strings.h"
#include "base/sys/signals.h"
#include "project/compose/quantities.h"
#include "project/compose_front/front.h"
#include "project/docker_health.h"

namespace locald::project::compose {
namespace {

/// The platform of this machine, as images name it.
constexpr std::string_view own_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "";
#endif
}

class Reading {
 public:
  Reading(Front& front, const std::string& name, const Node& service)
      : front_(front), service_(service), path_(member_path("services", name)) {
    out_.name = name;
    out_.at = front.key_at(service);
    out_.kind = ServiceKind::container;
  }

  ServiceSpec take() {
    image();
    commands();
    environment();
    dependencies();
    health();
    restart();
    stop();
    limits();
    scale();
    text("user", out_.user);
    text("working_dir", out_.workdir);
    out_.tty = service_["tty"].as_bool();
    out_.init = service_["init"].as_bool();
    if (service_["stdin_open"].as_bool() && !out_.tty)
      front_.idle("stdin_open", "without `tty` there is nothing to read");
    security();
    namespaces();
    text("hostname", out_.hostname);
    out_.read_only = service_["read_only"].as_bool();
    out_.shm_size = bytes_of(service_["shm_size"], "shm_size");
    out_.cap_add = words(service_["cap_add"]);
    out_.cap_drop = words(service_["cap_drop"]);
    for (const auto& [name, limit] : service_["ulimits"].as_table()) {
      const Node& soft = limit.is_table() ? limit["soft"] : limit;
      const Node& hard = limit.is_table() ? limit["hard"] : limit;
      out_.ulimits.push_back({name, soft.as_int(-1), hard.as_int(-1), front_.key_at(limit)});
    }
    read_service_network(front_, service_, out_);
    read_ports(front_, service_, out_);
    read_volumes(front_, service_, out_);
    return std::move(out_);
  }

 private:
  void text(const char* key, Text& out) {
    if (const Node& value = service_[key]; !value.as_string().empty()) out = front_.text(value);
  }

  bool refuse(const char* key, const Node& at, std::string_view why, std::string hint = {}) {
    return front_.refuse(at, member_path(path_, key), key, why, std::move(hint));
  }

  /// @return false where the value is below `least`, which is a problem.
  bool at_least(const Node& value, const std::string& key, double number, double least = 0) {
    if (number >= least) return true;
    front_.report.problem(value,
                          fmt::format("`{}` must not be below {}", member_path(path_, key), least));
    return false;
  }

  /// Of a decoded value, whose text is one duration.
  std::optional<Milliseconds> milliseconds(const Node& value, const std::string& key) {
    if (value.is_nothing()) return std::nullopt;
    const auto time = parse_duration(value.as_string());
    if (!time || !at_least(value, key, static_cast<double>(*time))) return std::nullopt;
    return std::chrono::ceil<Milliseconds>(std::chrono::nanoseconds(*time));
  }

  /// Of a decoded value, which is a text of digits.
  std::uint64_t bytes_of(const Node& value, const std::string& key) {
    const std::int64_t bytes = parse_bytes(scalar_text(value)).value_or(0);
    return at_least(value, key, static_cast<double>(bytes)) ? static_cast<std::uint64_t>(bytes) : 0;
  }

  void image() {
    if (const Node& image = service_["image"]; !image.as_string().empty()) {
      out_.image = front_.text(image);
    } else if (front_.options.allowed.contains("build") && says_something(service_["build"])) {
      front_.report.key_problem(service_["build"],
                                fmt::format("`{}` has nothing but a `build` to run from", path_),
                                "build it with another program, and write its name as `image`");
    }
    const std::string& policy = service_["pull_policy"].as_string();
    if (policy == "always") out_.pull = PullPolicy::always;
    if (policy == "never") out_.pull = PullPolicy::never;
    if (policy == "build") (void)refuse("pull_policy", service_["pull_policy"], "nothing is built");
    if (policy == "refresh" || policy == "daily" || policy == "weekly" ||
        policy.starts_with("every_"))
      front_.idle("pull_policy " + policy, "an image that is there is used");
    const Node& platform = service_["platform"];
    const auto parts = split(platform.as_string(), '/');
    if (!platform.as_string().empty() &&
        (parts[0] != "linux" || (parts.size() > 1 && parts[1] != own_architecture())))
      (void)refuse("platform", platform,
                   fmt::format("this machine is linux/{}", own_architecture()));
  }

  std::vector<Text> words(const Node& list) {
    std::vector<Text> out;
    for (const Node& word : list.as_array()) out.push_back(front_.text(word));
    return out;
  }

  void commands() {
    const Node &entrypoint = service_["entrypoint"], &command = service_["command"];
    out_.entrypoint.words = words(entrypoint);
    out_.command.words = words(command);
    const bool no_entrypoint = entrypoint.is_array() && entrypoint.as_array().empty();
    const bool no_command = command.is_array() && command.as_array().empty();
    if (no_entrypoint && !out_.command.empty()) {
      // The image's entry point is taken away: the command's own program is in its place.
      out_.entrypoint.words = {out_.command.words[0]};
      out_.command.words.erase(out_.command.words.begin());
    } else if (no_entrypoint) {
      front_.report.key_problem(
          entrypoint, fmt::format("`{}.entrypoint` is empty, and so is the command", path_),
          "write a `command`");
    } else if (no_command && out_.entrypoint.empty()) {
      front_.report.key_problem(
          command, fmt::format("`{}.command` is empty: that does not clear the image's", path_),
          "write an `entrypoint`, which is run alone");
    }
  }

  void environment() {
    for (const auto& [name, value] : service_["environment"].as_table())
      if (name.empty())
        front_.report.problem(value, fmt::format("`{}.environment`: a variable has no name", path_),
                              "NAME=VALUE, or NAME for the value that it has where `up` is called");
      else if (value.is_nothing())
        out_.env_unset.push_back(name);
      else
        out_.env.emplace_back(name, front_.text(value));
  }

  void dependencies() {
    for (const auto& [name, dependency] : service_["depends_on"].as_table()) {
      if (!front_.model["services"].contains(name)) continue;  // not required, and not enabled
      const std::string& word = dependency["condition"].as_string();
      out_.depends_on.push_back({name,
                                 word == "service_healthy" ? DependsCondition::healthy
                                 : word == "service_completed_successfully"
                                     ? DependsCondition::completed
                                     : DependsCondition::started,
                                 front_.key_at(dependency)});
    }
  }

  void health() {
    const Node& check = service_["healthcheck"];
    const std::vector<std::string> test = check["test"].as_strings();
    if (check["disable"].as_bool() || (!test.empty() && test[0] == "NONE")) return;
    const Node& retries = check["retries"];
    at_least(retries, "healthcheck.retries", retries.as_double());
    DockerHealth written{test,
                         milliseconds(check["interval"], "healthcheck.interval"),
                         milliseconds(check["timeout"], "healthcheck.timeout"),
                         milliseconds(check["start_period"], "healthcheck.start_period"),
                         retries.is_int() ? std::optional(retries.as_int()) : std::nullopt,
                         check.is_nothing() ? out_.at : front_.key_at(check)};
    if (!test.empty()) {
      if (test.size() < 2)
        front_.report.problem(check["test"],
                              fmt::format("`{}.healthcheck.test` has no command", path_),
                              "[CMD, pg_isready]");
      out_.health = health_spec(written);
      return;
    }
    out_.image_health = {.wanted = true,
                         .interval = written.interval,
                         .timeout = written.timeout,
                         .start_period = written.start_period,
                         .retries = written.retries ? std::optional(static_cast<int>(std::min(
                                                          *written.retries, std::int64_t{1000})))
                                                    : std::nullopt,
                         .at = written.at};
  }

  void restart() {
    const std::string& word = service_["restart"].as_string();
    RestartSpec& out = out_.restart;
    if (word == "always") out.mode = RestartMode::always;
    if (word == "unless-stopped") out.mode = RestartMode::unless_stopped;
    if (word.starts_with("on-failure")) out.mode = RestartMode::on_failure;
    if (const std::size_t colon = word.find(':'); colon != std::string::npos)
      out.max = static_cast<int>(
          std::min<std::uint64_t>(parse_u64(word.substr(colon + 1)).value_or(0), 1'000'000));
    const Node& policy = service_["deploy"]["restart_policy"];
    if (policy.is_nothing()) return;
    const std::string& condition = policy["condition"].as_string();
    out.mode = condition == "none"         ? RestartMode::no
               : condition == "on-failure" ? RestartMode::on_failure
                                           : RestartMode::always;
    at_least(policy["max_attempts"], "deploy.restart_policy.max_attempts",
             policy["max_attempts"].as_double());
    out.max =
        static_cast<int>(std::clamp<std::int64_t>(policy["max_attempts"].as_int(), 0, 1'000'000));
    out.window =
        milliseconds(policy["window"], "deploy.restart_policy.window").value_or(Milliseconds(0));
  }

  void stop() {
    if (const Node& signal = service_["stop_signal"]; !signal.as_string().empty()) {
      if (const auto number = parse_signal(signal.as_string()))
        out_.stop_signal = *number;
      else
        front_.report.problem(signal, path_ + ".stop_signal", number.error());
    }
    if (const auto time = milliseconds(service_["stop_grace_period"], "stop_grace_period"))
      out_.stop_timeout = *time;
  }

  /// A limit of the service's own or of its `deploy`, which are equal where both are there.
  struct Limit {
    const Node& value;
    std::string key;
    SourcePos at;
    bool wanted;  ///< there is one, and it can be had
  };
  Limit limit(const char* key, const char* below) {
    const Node& own = service_[key];
    const Node& other = service_["deploy"]["resources"]["limits"][below];
    Limit out{says_something(own) ? own : other, key, {}, false};
    if (&out.value == &other) out.key = fmt::format("deploy.resources.limits.{}", below);
    out.at = front_.key_at(out.value);
    if (!says_something(out.value)) return out;
    out.wanted = front_.options.rights.limits ||
                 !front_.refuse(out.value, member_path(path_, out.key), key,
                                "limits need a cgroup of their own, which rootless containers do "
                                "not have",
                                fmt::format("remove it, run locald as root, or leave it out: "
                                            "locald up --allow-unsupported={}",
                                            key));
    return out;
  }

  void limits() {
    if (const Limit memory = limit("mem_limit", "memory"); memory.wanted) {
      out_.memory = bytes_of(memory.value, memory.key);
      out_.limits_at.memory = memory.at;
    }
    if (const Limit cpus = limit("cpus", "cpus");
        cpus.wanted && at_least(cpus.value, cpus.key, cpus.value.as_double())) {
      out_.cpus = cpus.value.as_double();
      out_.limits_at.cpus = cpus.at;
    }
    // -1 is no limit.
    if (const Limit pids = limit("pids_limit", "pids");
        pids.wanted && at_least(pids.value, pids.key, pids.value.as_double(), -1)) {
      out_.pids = static_cast<int>(std::clamp<std::int64_t>(pids.value.as_int(), 0, 4'194'304));
      out_.limits_at.pids = pids.at;
    }
  }

  void scale() {
    const Node& deploy = service_["deploy"];
    const Node& count = service_["scale"].is_int() ? service_["scale"] : deploy["replicas"];
    if (count.as_int(1) != 1) (void)refuse("scale", count, "a service has one instance");
    const std::string& mode = deploy["mode"].as_string();
    if (mode == "global") front_.idle("deploy.mode global", "a service has one instance");
    if (!mode.empty() && mode != "global" && mode != "replicated")
      (void)front_.refuse(deploy["mode"], path_ + ".deploy.mode", "mode",
                          fmt::format("there is no mode {}", mode),
                          "a job is a service that others wait for by "
                          "service_completed_successfully");
  }

  /// What asks for no more than each container has.
  void namespaces() {
    const auto one = [&](const char* key, std::initializer_list<std::string_view> had) {
      const std::string& text = service_[key].as_string();
      if (!text.empty() && std::find(had.begin(), had.end(), text) == had.end())
        (void)refuse(key, service_[key], "containers have namespaces of their own");
    };
    one("ipc", {"private", "shareable"});
    one("cgroup", {"private"});
    // Of Docker's: not those of a daemon that maps ids, which is so by default.
    one("userns_mode", {"host"});
  }

  void security() {
    for (const Node& option : service_["security_opt"].as_array()) {
      const std::string& text = option.as_string();
      if (text == "no-new-privileges:true" || text == "no-new-privileges" ||
          text == "no-new-privileges=true" || text.starts_with("label:") ||
          text.starts_with("label=") || text == "apparmor:unconfined" ||
          text == "apparmor=unconfined")
        continue;  // containers have no new privileges, no labels and no profile of AppArmor
      (void)refuse("security_opt", option, fmt::format("{} cannot be had", text));
    }
  }

  Front& front_;
  const Node& service_;
  std::string path_;
  ServiceSpec out_;
};

}  // namespace

void read_service(Front& front, const std::string& name, const Node& service) {
  front.spec.services.push_back(Reading(front, name, service).take());
}

}  // namespace locald::project::compose
