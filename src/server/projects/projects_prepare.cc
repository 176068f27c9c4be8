// What `up`, `build` and `config check` have in common: the way from a request to configurations.
#include "server/projects/projects_prepare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "net/ports.h"
#include "project/canonical_text.h"
#include "project/project_check.h"
#include "project/resolve/resolve_network.h"
#include "project/wording.h"
#include "server/http/request.h"
#include "server/networks/port_choice.h"
#include "server/projects/app_builds.h"
#include "server/projects/projects.h"

namespace locald::server {
namespace {

/// Each terminal, login or shell has its own.
bool of_a_terminal(std::string_view name) {
  static constexpr std::array<std::string_view, 22> kNames{
      "_",         "PWD",       "OLDPWD",  "SHLVL",         "SHELL",          "TERM",
      "COLORTERM", "COLUMNS",   "LINES",   "WINDOWID",      "DISPLAY",        "STY",
      "GPG_TTY",   "LS_COLORS", "LOGNAME", "INVOCATION_ID", "JOURNAL_STREAM", "TMUX",
      "TMUX_PANE", "MAIL",      "WINDOW",  "NO_COLOR"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  for (const std::string_view prefix : {"SSH_", "XDG_", "DBUS_", "WAYLAND_", "TERM_", "VTE_",
                                        "LOCALD_", "LC_", "SUDO_", "BASH_FUNC_"})
    if (name.starts_with(prefix)) return true;
  return false;
}

constexpr std::size_t kShown = 5;

std::string some_of(const std::set<std::string>& names) {
  std::vector<std::string> shown;
  for (const std::string& name : names)
    if (shown.size() < kShown) shown.push_back(name);
  return join(shown, ", ") +
         (names.size() > kShown ? fmt::format(" and {} more", names.size() - kShown) : "");
}

/// Where the file says what does not fit.
project::SourcePos place_of(const project::ProjectSpec& spec, const net::Layout::Misfit& misfit) {
  for (const project::ServiceSpec& service : spec.services)
    for (const project::MemberSpec& member : service.networks)
      if (project::slug(service.name) == misfit.service && member.network == misfit.network)
        return !member.address.empty() ? member.address.at
               : member.at.line != 0   ? member.at
                                       : service.at;
  for (const project::NetworkSpec& network : spec.networks)
    if (network.name == misfit.network)
      return network.subnet.empty() ? network.at : network.subnet.at;
  return {1, 1};
}

}  // namespace

std::string other_environment(const Supervisor& supervisor,
                              const std::map<std::string, project::ServiceConfig>& configs,
                              const std::set<std::string>& selected,
                              const project::UserContext& here,
                              const project::UserContext& captured) {
  std::set<std::string> differ, start;
  for (const auto& [name, value] : here.env)
    if (const auto it = captured.env.find(name);
        !of_a_terminal(name) && (it == captured.env.end() || it->second != value))
      differ.insert(name);
  for (const auto& [name, value] : captured.env)
    if (!of_a_terminal(name) && !here.env.contains(name)) differ.insert(name);
  if (differ.empty()) return {};
  for (const std::string& name : selected) {
    const auto config = configs.find(name);
    if (config == configs.end() || config->second.kind != project::ServiceKind::exec) continue;
    const Supervisor::Unit* unit = supervisor.find(name);
    if (unit == nullptr || (unit->state.ended() && !has_completed(unit)) ||
        project::canonical_form(*unit->config) != project::canonical_form(config->second))
      start.insert(name);
  }
  if (start.empty()) return {};
  return fmt::format(
      "{} {} the environment that the project was brought up with; this one differs in {} "
      "(`locald up --env-refresh` takes this one)",
      some_of(start), start.size() == 1 ? "gets" : "get", some_of(differ));
}

Project* Projects::find_staying(const std::string& name) const {
  const auto it = projects_.find(name);
  return it == projects_.end() || it->second->going_down() ? nullptr : it->second.get();
}

void Projects::refuse(const ReplyPtr& reply, const project::Problems& problems) {
  reply->error(project::problems_error(problems), {{"problems", project::problems_json(problems)}});
}

std::string Projects::host_notice(const project::LoadedProject& loaded) {
  if (!loaded.stays_on_host || registry_.told_of_host(loaded.name)) return {};
  std::set<std::string> containers;
  for (const project::ServiceSpec& s : loaded.spec.services)
    if (s.kind != project::ServiceKind::exec) containers.insert(s.name);
  if (containers.empty() || !registry_.note_told(loaded.name)) return {};
  return fmt::format(
      "{} {} on the host's network, as before; for a network of the project's own write network = "
      "\"project\" below [project], or network = \"host\" to keep it so (docs/networks.md)",
      some_of(containers), containers.size() == 1 ? "stays" : "stay");
}

/// Ports stay as they are, over `down` too, as long as nobody else has them; new ones are free now
/// and nobody else's.
Result<std::map<std::string, int>> Projects::choose_ports(const project::LoadedProject& loaded,
                                                          const project::LowPorts& low,
                                                          const Project* present) const {
  const project::ProjectSpec& spec = loaded.spec;
  std::set<int> taken, own;
  for (const auto& [name, project] : projects_)
    for (const auto& [service, unit] : project->supervisor().units()) {
      taken.insert(unit.config->port);
      for (const project::PortConfig& port : unit.config->ports)
        (project.get() == present ? own : taken).insert(port.port);
    }
  for (const project::ServiceSpec& s : spec.services) {
    taken.insert(s.any_port());
    for (const project::Text& text : s.ports)
      if (const auto ports = project::parse_ports(text.raw))
        for (const project::PortConfig& port : *ports)
          if (!port.chosen()) taken.insert(low.moved(port).port);
  }
  const std::set<int> others = deps_.networks != nullptr
                                   ? deps_.networks->registry().ports_of_others(loaded.name)
                                   : std::set<int>();
  std::map<std::string, int> before =
      present != nullptr ? present->auto_ports() : std::map<std::string, int>();
  std::map<std::string, int> out;
  for (const auto& [key, range] : project::ports_to_choose(spec, low)) {
    if (const auto it = before.find(key); it != before.end()) {
      out[key] = it->second;
      continue;
    }
    int port = deps_.networks != nullptr ? deps_.networks->registry().port(loaded.name, key) : 0;
    if (port != 0 && !own.contains(port) &&
        (taken.contains(port) || !deps_.network.check_port_free(static_cast<std::uint16_t>(port))))
      port = 0;
    // What another project keeps over its `down` is not given away by chance.
    const bool any = range.second == 0;
    if (port == 0)
      port = TRY(choose_port(deps_.network, range.first, range.second, [&](int candidate) {
                   return taken.contains(candidate) || (any && others.contains(candidate));
                 }).context(key));
    taken.insert(port);
    out[key] = port;
  }
  return out;
}

Result<project::LoadedProject> Projects::load(project::ProjectRef ref) const {
  ref.judge = std::make_shared<PathJudge>(deps_.paths, deps_.shared.all());
  ref.stays_on_host = [this](const std::string& name, const std::string& dir) {
    return registry_.stays_on_host(name, dir);
  };
  return project::load_project(ref);
}

void Projects::ask_images(Prepared& prepared, project::ResolveInput& input, const How& how) const {
  project::ProjectSpec& spec = prepared.loaded.spec;
  const std::set<std::string> wanted =
      project::make_graph(spec).with_dependencies({how.services.begin(), how.services.end()});
  std::set<std::string> unchecked;
  for (const project::AskedImage& asked : project::asked_images(input)) {
    const auto image = oci::ImageReference::parse(asked.image, spec.dir);
    const auto answer = image && deps_.image_answers != nullptr ? deps_.image_answers->find(*image)
                                                                : std::optional(ImageAnswer());
    if (!answer) {
      if (asked.port || wanted.empty() || wanted.contains(asked.service))
        prepared.asked_images.push_back(asked);
      if (asked.port && !how.images_tell) input.undecided.insert(asked.service);
      continue;
    }
    for (project::ServiceSpec& s : spec.services) {
      if (s.name != asked.service) continue;
      if (asked.port) s.container_port = answer->port;
      if (asked.health) s.health = project::health_spec(answer->health, s.image_health);
      if (asked.health && s.health.kind == project::HealthSpec::Kind::none)
        unchecked.insert(s.name);
    }
  }
  for (const project::ServiceSpec& s : spec.services)
    for (const project::DependencySpec& d : s.depends_on)
      if (d.condition == project::DependsCondition::healthy && unchecked.contains(d.service))
        prepared.problems.push_back(
            {spec.file_of(d.at), d.at,
             fmt::format("{} waits for {} to be healthy, but neither the file nor the image of {} "
                         "has a health check",
                         s.name, d.service, d.service),
             "give it a `healthcheck`, or wait for service_started"});
}

Result<Projects::Prepared> Projects::prepare(const ipc::ProjectPlace& place,
                                             const ipc::World& world, const How& how) const {
  Prepared out;
  out.here = std::make_shared<project::UserContext>(TRY(user_context(world)));
  out.user = out.here;
  project::ProjectRef ref = project_ref(place);
  out.wishes = how.wishes;
  if (const auto name = name_of(place))
    if (const Project* known = find_staying(*name)) out.wishes.fill_in(known->wishes(), world.env);
  const project::Rights rights = {.limits = ::geteuid() == 0,
                                  .first_port = net::first_allowed_port()};
  ref.compose.env = world.env;
  ref.compose.services = how.services;
  ref.compose.profiles = {out.wishes.profiles.begin(), out.wishes.profiles.end()};
  ref.compose.allowed = {out.wishes.allowed.begin(), out.wishes.allowed.end()};
  ref.compose.publish_address = out.wishes.publish_address;
  ref.compose.rights = rights;
  out.loaded = TRY(load(std::move(ref)));
  out.problems = out.loaded.problems;
  if (!out.problems.empty()) return out;
  if (!out.wishes.low_ports.empty())
    out.loaded.spec.low_ports = TRY(project::parse_low_ports(out.wishes.low_ports));
  const project::ProjectSpec& spec = out.loaded.spec;
  TRY(registry_.check(out.loaded.name, spec.dir));
  const Project* present = find_staying(out.loaded.name);
  out.ports = TRY(choose_ports(out.loaded, {spec, rights}, present));
  project::ResolveInput input{spec,      out.loaded.name, *out.here,
                              out.ports, deps_.paths,     deps_.shared.all()};
  input.refresh = how.refresh;
  input.rights = rights;
  if (deps_.networks != nullptr)
    input.programs = {deps_.networks->cni().path, [this]() -> Result<void> {
                        (void)TRY(find_pasta(deps_.networks->cni().search_path));
                        return {};
                      }};
  if (present != nullptr) {
    input.captured = [present](const std::string& service, const std::string& name) {
      return present->captured(service, name);
    };
    if (auto captured = present->user(); captured && !input.refresh) out.user = captured;
  }
  ask_images(out, input, how);
  out.resolved = project::resolve(input);
  out.problems.insert(out.problems.end(), out.resolved.problems.begin(),
                      out.resolved.problems.end());
  if (out.problems.empty() && deps_.networks != nullptr) {
    Networks::Services services;
    for (const auto& [name, config] : out.resolved.services)
      services[name] = std::make_shared<project::ServiceConfig>(config);
    net::Layout::Misfit misfit;
    if (auto fine = deps_.networks->check(out.loaded.name, services, misfit); !fine)
      out.problems.push_back({spec.file_of(place_of(spec, misfit)), place_of(spec, misfit),
                              fine.error().message(), fine.error().hint()});
    for (std::string& text : subnet_notices(services, net::host_routes))
      out.resolved.notices.emplace_back("", std::move(text));
  }
  project::word_for(spec, out.problems);
  for (auto& [service, text] : out.resolved.notices)
    if (spec.compose) text = project::in_compose_words(text);
  return out;
}

}  // namespace locald::server
