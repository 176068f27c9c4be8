#include "project/project_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>

#include "base/strings.h"
#include "project/network_check.h"
#include "project/resolve/interpolation.h"

namespace locald::project {
namespace {

constexpr std::string_view kNameRule =
    "small letters, digits, - and _, at most 63, a letter or digit first";

bool always(const RestartSpec& restart) {
  return restart.mode == RestartMode::always || restart.mode == RestartMode::unless_stopped;
}

constexpr std::size_t kMaxServices = 1000;  // each is compared with others, and is some processes

class Checker {
 public:
  Checker(const ProjectSpec& spec, Problems& problems) : spec_(spec), problems_(problems) {
    for (const ServiceSpec& s : spec.services) names_.push_back(s.name);
  }

  void run() {
    if (!spec_.name.empty() && !valid_name(spec_.name))
      add(spec_.name_at, fmt::format("\"{}\" cannot be the name of a project", spec_.name),
          std::string(kNameRule));
    if (spec_.services.empty() && spec_.compose)
      add({1, 1}, "no service is enabled", "enable a profile: locald up --profile NAME");
    else if (spec_.services.empty())
      add({1, 1}, "the file names no services", "add a table like [services.web]");
    if (spec_.services.size() > kMaxServices)
      return add({1, 1}, fmt::format("the file names {} services; a project has at most {}",
                                     spec_.services.size(), kMaxServices));
    for (const ServiceSpec& s : spec_.services) service(s);
    check_networks(spec_, [this](SourcePos at, std::string message, std::string hint) {
      add(at, std::move(message), std::move(hint));
    });
    if (const auto cycle = make_graph(spec_).cycle(); !cycle.empty()) this->cycle(cycle);
  }

 private:
  void add(SourcePos at, std::string message, std::string hint = {}) {
    if (problems_.size() >= kMaxProblems) return;
    problems_.push_back({spec_.file_of(at), at, std::move(message), std::move(hint)});
  }

  void service(const ServiceSpec& s) {
    if (spec_.compose && !valid_compose_name(s.name))
      add(s.at, fmt::format("\"{}\" cannot be the name of a service", s.name),
          "letters, digits, -, _ and dots, at most 63, a letter or digit first");
    else if (!spec_.compose && !valid_service_name(s.name))
      add(s.at, fmt::format("\"{}\" cannot be the name of a service", s.name),
          s.name.find('/') == std::string::npos
              ? std::string(kNameRule)
              : "a service of your own naming can run any process type: "
                "[services.APP.processes.NAME] with process = \"TYPE\"");
    if (s.kind == ServiceKind::cnb) app(s);
    if (s.once && always(s.restart))
      add(s.at, fmt::format("{} runs once, but is always restarted", s.name),
          "give it restart = \"no\" or \"on-failure\", or remove `once`");
    for (const Text* text : texts_of(s)) references(*text);
    for (const DependencySpec& d : s.depends_on) dependency(s, d);
    health(s);
  }

  void app(const ServiceSpec& s) {
    if (s.command.empty()) return;
    const std::string_view why = "is not used where there is a `command`";
    if (!s.process.empty() && s.name.find('/') == std::string::npos)
      add(s.process.at, fmt::format("`process` {}", why), "remove one of the two");
    if (!s.args.empty())
      add(s.args.front().at, fmt::format("`args` {}", why), "write them into the `command`");
  }

  void references(const Text& text) {
    auto found = service_references(text.raw);
    if (!found) return add(text.at, found.error().message(), found.error().hint());
    for (const Reference& r : *found) {
      const ServiceSpec* target = spec_.find(r.service);
      if (target == nullptr)
        unknown_service(text.at, fmt::format("${{services.{}.{}}}", r.service, r.field), r.service);
      else if (r.field != "host" && !target->may_have_port())
        add(text.at,
            fmt::format("${{services.{}.{}}}: {} has no port", r.service, r.field, r.service),
            target->kind == ServiceKind::container ? "give it a `container_port`"
                                                   : "give it a `port`");
    }
  }

  void unknown_service(SourcePos at, const std::string& where, const std::string& name) {
    if (problems_.size() >= kMaxProblems) return;  // before the look for a name that is near
    const auto near = did_you_mean(name, names_);
    add(at, fmt::format("{}: there is no service '{}'", where, name),
        near ? fmt::format("did you mean '{}'?", *near) : "there are: " + join(names_, ", "));
  }

  /// Whether its image does so is known later.
  static bool may_be_checked(const ServiceSpec& s) {
    return s.health.kind != HealthSpec::Kind::none || s.image_health.wanted;
  }

  void dependency(const ServiceSpec& s, const DependencySpec& d) {
    const ServiceSpec* target = spec_.find(d.service);
    if (target == nullptr) return unknown_service(d.at, "`depends_on`", d.service);
    if (d.condition == DependsCondition::healthy && !may_be_checked(*target))
      add(d.at,
          fmt::format("{} waits for {} to be healthy, but {} has no `health`", s.name, d.service,
                      d.service),
          "give it one, or wait for \"started\"");
    if (target->once && !d.implied &&
        (d.condition == DependsCondition::started || d.condition == DependsCondition::healthy))
      add(d.at,
          fmt::format("{} waits for {} to {}, but {} runs once", s.name, d.service,
                      d.condition == DependsCondition::started ? "start" : "be healthy", d.service),
          "wait for \"completed\", or remove `once`");
    if (d.condition == DependsCondition::completed && !target->once && always(target->restart))
      add(d.at,
          fmt::format("{} waits for {} to complete, but {} is always restarted", s.name, d.service,
                      d.service),
          "give it restart = \"no\" or \"on-failure\"");
  }

  void health(const ServiceSpec& s) {
    const HealthSpec& h = s.health;
    const std::string& target = h.target.raw;
    switch (h.kind) {
      case HealthSpec::Kind::http:
        if (target.starts_with("https://"))
          add(h.target.at, "health checks over https are not supported yet",
              "use http, or tcp for the port alone");
        else if (!target.starts_with("/") && !target.starts_with("http://") &&
                 !target.starts_with("$"))
          add(h.target.at, fmt::format("`http` = \"{}\" is neither a path nor a URL", target),
              "for example \"/healthz\"");
        else if (target.starts_with("/") && !s.may_have_port())
          no_port(s, "`http`");
        break;
      case HealthSpec::Kind::tcp:
        if (target.empty() && !s.may_have_port()) no_port(s, "`tcp`");
        break;
      case HealthSpec::Kind::log:
        try {
          const std::regex check(target, std::regex::ECMAScript);
        } catch (const std::regex_error& e) {
          add(h.target.at,
              fmt::format("`log` = \"{}\" is not a regular expression: {}", target, e.what()));
        }
        break;
      case HealthSpec::Kind::notify:
        if (s.kind != ServiceKind::exec)
          add(h.at, "`notify` is not supported yet for containers", "use http, tcp, exec or log");
        break;
      case HealthSpec::Kind::exec:
      case HealthSpec::Kind::none:
        break;
    }
  }

  void no_port(const ServiceSpec& s, std::string_view what) {
    add(s.health.at, fmt::format("{} checks the service's port, but {} has none", what, s.name),
        s.kind == ServiceKind::container ? "give it a `container_port`" : "give it a `port`");
  }

  void cycle(const std::vector<std::string>& way) {
    std::vector<std::string> written, implied;
    for (std::size_t i = 0; i + 1 < way.size(); ++i) {
      const ServiceSpec* s = spec_.find(way[i]);
      const auto depends = [&](const DependencySpec& d) {
        return !d.implied && d.service == way[i + 1];
      };
      if (s != nullptr && std::any_of(s->depends_on.begin(), s->depends_on.end(), depends))
        written.push_back(way[i]);
      else
        implied.push_back(
            fmt::format("{} waits for {}, whose network it shares", way[i], way[i + 1]));
    }
    if (written.empty()) return;  // check_networks() tells it
    add(edge_pos(way[0], way[1]), "services depend on each other in a cycle: " + join(way, " -> "),
        implied.empty() ? "remove one of these `depends_on`"
                        : fmt::format("{}: remove the `depends_on` of {}", join(implied, ", "),
                                      join(written, " or ")));
  }

  SourcePos edge_pos(const std::string& from, const std::string& to) const {
    if (const ServiceSpec* s = spec_.find(from))
      for (const DependencySpec& d : s->depends_on)
        if (d.service == to) return d.at;
    return {};
  }

  const ProjectSpec& spec_;
  Problems& problems_;
  std::vector<std::string> names_;
};

}  // namespace

std::vector<const Text*> texts_of(const ServiceSpec& s) {
  std::vector<const Text*> out{&s.workdir,       &s.image,           &s.user,
                               &s.hostname,      &s.health.target,   &s.build.path,
                               &s.build.builder, &s.build.run_image, &s.build.exec_env,
                               &s.process};
  const auto add = [&](const std::vector<Text>& texts) {
    for (const Text& t : texts) out.push_back(&t);
  };
  add(s.command.words);
  add(s.entrypoint.words);
  add(s.health.command.words);
  add(s.env_file);
  for (const VolumeSpec& v : s.volumes) out.insert(out.end(), {&v.text, &v.source, &v.target});
  add(s.tmpfs);
  add(s.cap_add);
  add(s.cap_drop);
  add(s.ports);
  for (const MemberSpec& m : s.networks) {
    add(m.aliases);
    out.push_back(&m.address);
  }
  add(s.args);
  for (const auto* pairs : {&s.env, &s.bindings, &s.build.env, &s.build.bindings})
    for (const auto& [name, text] : *pairs) out.push_back(&text);
  // A regular expression has its own use for `$`.
  if (s.health.kind == HealthSpec::Kind::log) std::erase(out, &s.health.target);
  return out;
}

ServiceGraph make_graph(const ProjectSpec& spec) {
  ServiceGraph graph;
  for (const ServiceSpec& s : spec.services) {
    graph.add(s.name);
    for (const DependencySpec& d : s.depends_on)
      if (spec.find(d.service) != nullptr) graph.add_edge(s.name, d.service);
  }
  return graph;
}

void check_project(const ProjectSpec& spec, Problems& problems) {
  Checker(spec, problems).run();
  sort_by_place(problems);
}

}  // namespace locald::project
