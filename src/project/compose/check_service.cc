#include "project/compose/check_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/strings.h"
#include "project/compose/published_ports.h"
#include "project/compose/quantities.h"

namespace locald::project::compose {
namespace {

constexpr std::string_view kServicePrefix = "service:";

class ServiceCheck {
 public:
  explicit ServiceCheck(const CheckedService& of)
      : of_(of), service_(of.service), path_(member_path("services", of.name)) {}

  void all() const {
    if (service_["build"].is_nothing() && service_["image"].as_string().empty() &&
        service_["provider"].is_nothing())
      of_.report.key_problem(service_, fmt::format("`{}` has neither `image` nor `build`", path_));
    build();
    networks();
    health();
    dependencies();
    mounts();
    references("secrets", service_["secrets"], "source");
    references("secrets", service_["build"]["secrets"], "source");
    references("configs", service_["configs"], "source");
    for (const auto& [model, settings] : service_["models"].as_table())
      defined("models", model, settings);
    scale();
    limits();
    words();
    watches();
  }

 private:
  /// `key` of the service, or the service itself where it is empty.
  void problem(const Node& at, std::string_view key, const std::string& text) const {
    of_.report.problem(at,
                       fmt::format("`{}` {}", key.empty() ? path_ : member_path(path_, key), text));
  }

  bool defined(const char* section, const std::string& name, const Node& at) const {
    const Node& all = of_.model[section];
    if (all.contains(name)) return true;
    if (of_.report.problems.size() >= kMaxProblems) return false;  // a guess takes its time
    std::vector<std::string> known;
    for (const auto& [key, value] : all.as_table()) known.push_back(key);
    const auto near = did_you_mean(name, known);
    of_.report.problem(at,
                       fmt::format("`{}` refers to \"{}\", which is not in `{}`", path_,
                                   shortened(name, 60), section),
                       near ? fmt::format("did you mean `{}`?", *near)
                            : fmt::format("add `{}` to `{}`", shortened(name, 60), section));
    return false;
  }

  void references(const char* section, const Node& list, const char* key) const {
    for (const Node& item : list.as_array()) defined(section, item[key].as_string(), item);
  }

  void build() const {
    const Node& build = service_["build"];
    if (!build.is_table()) return;
    if (!build["dockerfile"].as_string().empty() && !build["dockerfile_inline"].as_string().empty())
      problem(build["dockerfile"], "build",
              "has `dockerfile` and `dockerfile_inline`: one of them");
    for (const auto& [name, context] : build["additional_contexts"].as_table()) {
      if (!context.as_string().starts_with(kServicePrefix)) continue;
      const std::string other = context.as_string().substr(kServicePrefix.size());
      const Node& target = of_.model["services"][other];
      if (target.is_nothing())
        problem(context, "build",
                fmt::format("takes `{}` from the service \"{}\", which is not there", name, other));
      else if (target["build"].is_nothing())
        problem(context, "build",
                fmt::format("takes `{}` from the service \"{}\", which is not built", name, other));
    }
    const auto platforms = build["platforms"].as_strings();
    const std::string& platform = service_["platform"].as_string();
    if (!platforms.empty() && !platform.empty() &&
        std::find(platforms.begin(), platforms.end(), platform) == platforms.end())
      problem(service_["platform"], "platform", "is not among the `platforms` of its `build`");
  }

  void networks() const {
    const std::string& mode = service_["network_mode"].as_string();
    const Node& networks = service_["networks"];
    if (!mode.empty() && !networks.as_table().empty())
      problem(service_["network_mode"], "", "has `network_mode` and `networks`: one of them");
    for (const auto& [network, settings] : networks.as_table())
      defined("networks", network, settings);
    if (!mode.starts_with(kServicePrefix)) return;
    const std::string other = mode.substr(kServicePrefix.size());
    if (of_.model["services"][other].is_nothing())
      problem(service_["network_mode"], "network_mode",
              fmt::format("names the service \"{}\", which is not there", shortened(other, 60)));
  }

  void health() const {
    const Node& test = service_["healthcheck"]["test"];
    if (test.as_array().empty()) return;
    const std::string& kind = test.as_array()[0].as_string();
    if (kind != "CMD" && kind != "CMD-SHELL" && kind != "NONE")
      problem(
          test.as_array()[0], "healthcheck.test",
          fmt::format("must begin with CMD, CMD-SHELL or NONE, not \"{}\"", shortened(kind, 60)));
  }

  void dependencies() const {
    for (const auto& [name, dependency] : service_["depends_on"].as_table()) {
      if (!of_.model["services"][name].is_nothing()) continue;
      const bool required = dependency["required"].as_bool(true);
      const Node& disabled = of_.disabled[name];
      if (disabled.is_nothing()) {
        defined("services", name, dependency);
      } else if (required) {
        of_.report.problem(
            dependency,
            fmt::format("`{}` needs the service \"{}\", which no profile enables", path_, name),
            fmt::format("enable the profile {}, or write `required: false`",
                        join(disabled["profiles"].as_strings(), " or ")));
      }
    }
  }

  void mounts() const {
    for (const Node& volume : service_["volumes"].as_array())
      if (volume["type"].as_string() == "volume" && !volume["source"].as_string().empty())
        defined("volumes", volume["source"].as_string(), volume);
    std::map<std::string, SourcePos> there;
    const auto mount = [&](const std::string& target, const Node& at) {
      const auto [other, fresh] = there.emplace(target, at.at());
      if (!fresh)
        problem(at, "",
                fmt::format("mounts two things at {}, the other one by line {}",
                            shortened(target, 80), other->second.line));
    };
    for (const Node& tmpfs : service_["tmpfs"].as_array())
      mount(tmpfs.as_string().substr(0, tmpfs.as_string().find(':')), tmpfs);
    for (const Node& volume : service_["volumes"].as_array())
      mount(volume["target"].as_string(), volume);
  }

  void scale() const {
    const Node& scale = service_["scale"];
    const Node& replicas = service_["deploy"]["replicas"];
    if (scale.is_int() && replicas.is_int() && !(scale == replicas))
      problem(scale, "scale", "and the `replicas` of `deploy` differ");
    for (const Node* count : {&scale, &replicas})
      if (count->as_int() < 0) problem(*count, "", "has a negative scale");
    const Node& chosen = scale.is_int() ? scale : replicas;
    if (chosen.as_int(1) > 1 && !service_["container_name"].as_string().empty())
      problem(service_["container_name"], "", "has a `container_name`, and more than one instance");
  }

  void limits() const {
    const Node& resources = service_["deploy"]["resources"];
    const auto same = [&](const char* key, const char* group, const char* other) {
      const Node& mine = service_[key];
      if (mine.is_nothing() || scalar_text(mine) == "0" || !resources.contains(group)) return;
      const Node& theirs = resources[group][other];
      if (mine == theirs) return;
      problem(mine, key, fmt::format("and `deploy.resources.{}.{}` differ", group, other));
    };
    same("cpus", "limits", "cpus");
    same("mem_limit", "limits", "memory");
    same("mem_reservation", "reservations", "memory");
    same("pids_limit", "limits", "pids");
  }

  /// The specification's schema takes any text for these; nothing else means a thing.
  void words() const {
    word("restart", {"no", "always", "on-failure", "unless-stopped"}, "on-failure:N",
         [](std::string_view text) {
           constexpr std::string_view kBefore = "on-failure:";
           return text.empty() ||
                  (text.starts_with(kBefore) && parse_u64(text.substr(kBefore.size())).has_value());
         });
    word("pull_policy", {"always", "never", "missing", "build", "refresh", "daily", "weekly"},
         "every_TIME", [](std::string_view text) {
           constexpr std::string_view kBefore = "every_";
           return text.starts_with(kBefore) &&
                  parse_duration(text.substr(kBefore.size())).has_value();
         });
  }

  void word(const char* key, const std::vector<std::string>& words, std::string_view other,
            bool (*is_other)(std::string_view)) const {
    const Node& value = service_[key];
    const std::string& text = value.as_string();
    if (value.is_nothing() || std::find(words.begin(), words.end(), text) != words.end() ||
        is_other(text))
      return;
    const auto near = did_you_mean(text, words);
    of_.report.problem(value,
                       fmt::format("`{}.{}` must be one of {} or {}, not \"{}\"", path_, key,
                                   join(words, ", "), other, shortened(text, 60)),
                       near ? fmt::format("did you mean `{}`?", *near) : "");
  }

  void watches() const {
    for (const Node& watch : service_["develop"]["watch"].as_array()) {
      const std::string& action = watch["action"].as_string();
      if (watch["target"].as_string().empty() && action != "rebuild" && action != "restart")
        problem(watch, "develop.watch", fmt::format("needs a `target` for the action {}", action));
    }
  }

  const CheckedService& of_;
  const Node& service_;
  std::string path_;
};

void check_devices(const Node& list, const std::string& path, Report& report) {
  for (const Node& request : list.as_array())
    if (request.contains("count") && request.contains("device_ids"))
      report.problem(request, fmt::format("`{}` has `count` and `device_ids`: one of them", path));
}

}  // namespace

void check_service(const CheckedService& of) { ServiceCheck(of).all(); }

void check_values(const std::string& path, const Node& service, Report& report) {
  const auto needs_target = [&](const char* key) {
    for (const Node& item : service[key].as_array())
      if (item["target"].is_nothing())
        report.problem(item, fmt::format("`{}.{}` needs a `target`", path, key));
  };
  for (const char* key : {"ports", "volumes", "devices"}) needs_target(key);
  for (const Node& port : service["ports"].as_array()) {
    const Node& address = port["host_ip"];
    if (address.is_string() && !valid_address(address.as_string()))
      report.problem(address, fmt::format("`{}.ports`: invalid address \"{}\"", path,
                                          shortened(address.as_string(), 60)));
  }
  for (const Node& watch : service["develop"]["watch"].as_array())
    if (watch["path"].as_string().empty())
      report.problem(watch, fmt::format("`{}.develop.watch`: the `path` must not be empty", path));
  check_devices(service["gpus"], member_path(path, "gpus"), report);
  check_devices(service["deploy"]["resources"]["reservations"]["devices"],
                member_path(path, "deploy.resources.reservations.devices"), report);
}

}  // namespace locald::project::compose
