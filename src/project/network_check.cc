#include "project/network_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace locald::project {
namespace {

using Mode = NetworkUse::Mode;

class NetworkChecker {
 public:
  using Add = std::function<void(SourcePos, std::string, std::string)>;
  NetworkChecker(const ProjectSpec& spec, const Add& add) : spec_(spec), add_(add) {}

  void run() {
    names_ = {kDefaultNetwork};
    for (const NetworkSpec& network : spec_.networks) {
      if (!valid_name(network.name) || network.name == "host" || network.name == "none" ||
          network.name == "project")
        add_(network.at, fmt::format("\"{}\" cannot be the name of a network", network.name),
             "small letters, digits, - and _, at most 63, a letter or digit first; not host, none "
             "or project");
      if (network.name != kDefaultNetwork) names_.push_back(network.name);
    }
    if (spec_.network.mode == Mode::service)
      add_(spec_.network.at,
           fmt::format("[project] network = \"service:{}\": that is for a service, not for all",
                       spec_.network.service),
           fmt::format("write it into those that share the network of {}, and network = "
                       "\"project\" here",
                       spec_.network.service.empty() ? "another" : spec_.network.service));
    for (const ServiceSpec& s : spec_.services) {
      if (s.kind == ServiceKind::exec && s.network.mode != Mode::host &&
          s.network.mode != Mode::unset) {
        add_(s.network.at, fmt::format("{} is a host process: its network is the host's", s.name),
             "remove `network`");
        continue;
      }
      if (s.network.mode == Mode::service) shared(s);
      for (const MemberSpec& member : s.networks) this->member(s, member);
      ports(s);
    }
  }

 private:
  void member(const ServiceSpec& s, const MemberSpec& member) {
    if (s.network.mode != Mode::project || (s.network.at.line != 0 && !(member.at == s.network.at)))
      return add_(member.at,
                  fmt::format("{} has `networks` beside network = \"{}\"", s.name, word(s)),
                  "remove one of the two");
    if (std::find(names_.begin(), names_.end(), member.network) != names_.end()) return;
    const auto near = did_you_mean(member.network, names_);
    add_(member.at, fmt::format("there is no network '{}'", member.network),
         near ? fmt::format("did you mean '{}'?", *near)
              : fmt::format("add a table [networks.{}]", member.network));
  }

  static std::string word(const ServiceSpec& s) {
    switch (s.network.mode) {
      case Mode::none:
        return "none";
      case Mode::project:
        return "project";
      case Mode::service:
        return "service:" + s.network.service;
      case Mode::host:
      case Mode::unset:
        break;
    }
    return "host";
  }

  void shared(const ServiceSpec& s) {
    std::vector<std::string> way{s.name};
    const ServiceSpec* at = &s;
    while (at->network.mode == Mode::service) {
      const ServiceSpec* next = spec_.find(at->network.service);
      if (next == nullptr) {
        if (at == &s) unknown(s);
        return;
      }
      if (next->kind == ServiceKind::exec)
        return add_(
            s.network.at,
            fmt::format("`network`: {} is a host process: its network is the host's", next->name),
            "write network = \"host\"");
      const bool again = std::find(way.begin(), way.end(), next->name) != way.end();
      way.push_back(next->name);
      if (again) return in_a_cycle(s, way);
      at = next;
    }
    if (at->network.mode != Mode::project)
      add_(s.network.at,
           fmt::format("{} has no network to share: its `network` is \"{}\"", at->name, word(*at)),
           fmt::format("write network = \"{}\"", word(*at)));
  }

  void unknown(const ServiceSpec& s) {
    std::vector<std::string> containers;
    for (const ServiceSpec& each : spec_.services)
      if (each.kind != ServiceKind::exec && each.name != s.name) containers.push_back(each.name);
    const auto near = did_you_mean(s.network.service, containers);
    add_(s.network.at, fmt::format("`network`: there is no service '{}'", s.network.service),
         near ? fmt::format("did you mean \"service:{}\"?", *near)
              : "write network = \"service:NAME\" with a container of this file");
  }

  /// Told once, of the one that comes first by name. @param way  ends with a service that it has had.
  void in_a_cycle(const ServiceSpec& s, const std::vector<std::string>& way) {
    if (way.back() != s.name || *std::min_element(way.begin(), way.end()) != s.name) return;
    if (way.size() == 2)
      return add_(s.network.at, fmt::format("{} cannot share its own network", s.name),
                  "write network = \"project\", or the name of another service");
    add_(s.network.at, "services share each other's network in a cycle: " + join(way, " -> "),
         "give one of them a network of its own: network = \"project\"");
  }

  void ports(const ServiceSpec& s) {
    const bool publishes = s.port != 0 || s.auto_port;
    switch (s.network.mode) {
      case Mode::unset:
      case Mode::host:
        if (!s.ports.empty())
          add_(s.ports.front().at,
               fmt::format("{} publishes `ports`, but is in the host's network", s.name),
               "there every port is the host's own: write `port`, or network = \"project\"");
        if (s.container_port != 0 && s.port != 0 && s.container_port != s.port)
          add_(
              s.port_at,
              fmt::format("`port` = {} and `container_port` = {} differ", s.port, s.container_port),
              "on the host's network they are one and the same: write only `container_port`");
        if (s.kind == ServiceKind::container && s.auto_port)
          add_(s.port_at, "`port` = \"auto\" has no effect on the host's network",
               "a container has the `container_port` that its image uses");
        break;
      case Mode::none:
      case Mode::service:
        if (publishes || !s.ports.empty())
          add_(publishes ? s.port_at : s.ports.front().at,
               fmt::format("{} publishes a port, with network = \"{}\"", s.name, word(s)),
               s.network.mode == Mode::none
                   ? "nothing reaches it: remove the port, or the `network`"
                   : fmt::format("publish it at {}", s.network.service));
        break;
      case Mode::project:
        break;
    }
  }

  const ProjectSpec& spec_;
  const Add& add_;
  std::vector<std::string> names_;
};

}  // namespace

void decide_networks(ProjectSpec& spec, Mode fallback) {
  // That a project is in a service's network is a problem, which check_networks() tells.
  if (spec.network.mode == Mode::service)
    fallback = Mode::project;
  else if (spec.network.mode != Mode::unset)
    fallback = spec.network.mode;
  for (ServiceSpec& s : spec.services) {
    Mode& mode = s.network.mode;
    if (mode == Mode::unset && s.kind == ServiceKind::exec) mode = Mode::host;
    if (mode == Mode::unset) mode = s.networks.empty() ? fallback : Mode::project;
    if (mode == Mode::project && s.networks.empty())
      s.networks.push_back(
          {.network = kDefaultNetwork, .aliases = {}, .address = {}, .at = s.network.at});
    if (mode == Mode::service && spec.find(s.network.service) != nullptr)
      s.depends_on.push_back(
          {s.network.service, DependsCondition::started, s.network.at, /*implied=*/true});
  }
}

const ServiceSpec* network_owner(const ProjectSpec& spec, const ServiceSpec& service) {
  const ServiceSpec* at = &service;
  for (std::size_t hops = 0; at != nullptr && at->network.mode == Mode::service; ++hops)
    at = hops < spec.services.size() ? spec.find(at->network.service) : nullptr;
  return at;
}

bool names_networks(const ProjectSpec& spec) {
  return spec.network.mode != Mode::unset || !spec.networks.empty() ||
         std::any_of(spec.services.begin(), spec.services.end(), [](const ServiceSpec& s) {
           return s.network.mode != Mode::unset || !s.networks.empty();
         });
}

void check_networks(const ProjectSpec& spec, const NetworkChecker::Add& add) {
  NetworkChecker(spec, add).run();
}

}  // namespace locald::project
