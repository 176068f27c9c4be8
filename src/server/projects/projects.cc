#include "server/projects/projects.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error_kind.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "server/http/request.h"
#include "server/supervise/service_status.h"

namespace locald::server {

Projects::Projects(Deps deps, ProjectRegistry registry)
    : deps_(std::move(deps)),
      registry_(std::move(registry)),
      open_ports_({deps_.loop, deps_.jobs, deps_.network, deps_.listeners,
                   [this](const std::string& name) { return find(name); }}) {}

Project::Deps Projects::project_world() {
  return {deps_.loop,
          deps_.launcher,
          deps_.paths,
          deps_.build,
          [this](const std::string& name) { on_quiet(name); },
          deps_.networks,
          &deps_.jobs,
          [this](ipc::ChangeEvent change) { events_.add(std::move(change)); }};
}

void Projects::make_ready(Project& project) {
  project.on_running = [this, name = project.name()](const std::string& service) {
    open_ports_.look_at(name, service);
  };
}

namespace {

bool has_container_on_host(const Project& project) {
  const auto& units = project.supervisor().units();
  return std::any_of(units.begin(), units.end(), [](const auto& entry) {
    const project::ServiceConfig& config = *entry.second.config;
    return config.kind != project::ServiceKind::exec && config.network == net::HostNetwork::kName;
  });
}

}  // namespace

Project* Projects::find(const std::string& name) {
  const auto it = projects_.find(name);
  return it == projects_.end() ? nullptr : it->second.get();
}

std::size_t Projects::running_services() const {
  std::size_t n = 0;
  for (const auto& [name, project] : projects_)
    for (const auto& [service, unit] : project->supervisor().units())
      n += unit.shim_pid != 0 ? 1 : 0;
  return n;
}

/// By name; by its file, so that a project whose file has become invalid can still be
/// stopped; else by the name that the file gives.
Result<std::string> Projects::name_of(const ipc::ProjectPlace& place) const {
  const project::ProjectRef ref = project_ref(place);
  if (!ref.name.empty()) return ref.name;
  const std::string file = TRY(project::find_project_file(ref));
  std::vector<std::string> by_file;
  for (const auto& [name, project] : projects_)
    if (project->file() == file) by_file.push_back(name);
  if (by_file.size() == 1) return by_file.front();
  return project::find_project_name(ref);
}

ProjectState Projects::state_of(const std::string& name) const {
  if (leaving_.contains(name)) return ProjectState::going_down;
  const auto it = projects_.find(name);
  if (it == projects_.end()) return ProjectState::down;
  return it->second->going_down() ? ProjectState::going_down : ProjectState::up;
}

Result<Project*> Projects::find_up(const ipc::ProjectPlace& place, ProjectVerb verb) {
  const std::string name = TRY(name_of(place));
  const ProjectState state = state_of(name);
  if (state == ProjectState::going_down && meets(verb, state) == Meets::refuse)
    return Error(Errc::cancelled, fmt::format("project {} is going down", name))
        .with_hint("wait until it is down (locald down does), then bring it up: locald up");
  if (Project* project = find(name)) return project;
  return Error(Errc::not_found, fmt::format("project {} is not up", name))
      .with_hint("bring it up: locald up");
}

Result<const Supervisor::Unit*> Projects::find_service(Project& project, const std::string& name) {
  if (const Supervisor::Unit* unit = project.find(name)) return unit;
  std::vector<std::string> known;
  for (const auto& [n, unit] : project.supervisor().units())
    if (project.find(n) != nullptr) known.push_back(n);
  return no_service(name, known);
}

Result<std::set<std::string>> Projects::services_of(Project& project,
                                                    const std::vector<std::string>& names) {
  std::set<std::string> out;
  for (const std::string& name : names) {
    (void)TRY(find_service(project, name));
    out.insert(name);
  }
  if (out.empty())
    for (const auto& [name, unit] : project.supervisor().units())
      if (project.find(name) != nullptr) out.insert(name);
  return out;
}

void Projects::status(const ipc::StatusRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    if (request.all) {
      std::vector<ipc::ProjectStatus> all;
      for (const auto& [name, project] : projects_)
        all.push_back({name, project->dir(), project->status()});
      std::map<std::string, std::string> others = registry_.all();
      for (const std::string& name : unmanaged_projects()) others.try_emplace(name);
      for (const auto& [name, dir] : others)
        if (!projects_.contains(name))
          all.push_back({name, dir,
                         deps_.unmanaged != nullptr ? deps_.unmanaged->status(name)
                                                    : std::vector<ipc::ServiceStatus>()});
      reply->result(ipc::StatusReply{.projects = std::move(all)});
      return {};
    }
    if (!request.project) return Error(Errc::invalid_input, "request status: project: missing");
    auto found = find_up(*request.project, ProjectVerb::status);
    if (found) {
      ipc::StatusReply out{.project = (*found)->name(), .services = (*found)->status()};
      if (registry_.stays_on_host((*found)->name(), (*found)->dir()) &&
          !registry_.told_of_host((*found)->name()) && has_container_on_host(**found))
        if (const auto loaded = load(project_ref(*request.project)))
          if (std::string text = host_notice(*loaded); !text.empty())
            out.notices.push_back({"", std::move(text)});
      reply->result(out);
      return {};
    }
    if (found.error().code() != Errc::not_found) return std::move(found).error();
    const project::LoadedProject loaded = TRY(load(project_ref(*request.project)));
    if (!loaded.problems.empty()) {
      reply->error(project::problems_error(loaded.problems),
                   {{"problems", project::problems_json(loaded.problems)}});
      return {};
    }
    ipc::StatusReply out{.project = loaded.name, .services = std::vector<ipc::ServiceStatus>()};
    for (const project::ServiceSpec& s : loaded.spec.services)
      out.services->push_back(stopped_status(s));
    reply->result(out);
    return {};
  });
}

void Projects::watch(const ipc::WatchRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    TRY(find_up(request.project, ProjectVerb::watch))->watch(reply);
    return {};
  });
}

void Projects::logs(const ipc::LogsRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    auto found = find_up(request.project, ProjectVerb::logs);
    std::string name;
    struct Log {
      std::string service;
      std::uint64_t first_segment;
      std::string nonce;  // of the present or last life; empty: not known
    };
    std::vector<Log> all;
    if (found) {
      name = (*found)->name();
      for (const auto& [service, unit] : (*found)->supervisor().units())
        all.push_back({service, unit.first_segment, unit.nonce});
    } else {
      if (found.error().code() != Errc::not_found) return std::move(found).error();
      const project::LoadedProject loaded =
          TRY(project::load_project(project_ref(request.project)));
      if (!loaded.problems.empty()) return project::problems_error(loaded.problems);
      name = loaded.name;
      for (const project::ServiceSpec& s : loaded.spec.services) all.push_back({s.name, 1, {}});
    }
    const std::vector<std::string>& wanted = request.services;
    std::vector<std::string> known;
    for (const Log& log : all) known.push_back(log.service);
    for (const std::string& service : wanted)
      if (std::find(known.begin(), known.end(), service) == known.end())
        return no_service(service, known);
    ipc::LogsReply out;
    for (const Log& log : all)
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), log.service) != wanted.end())
        out.services.push_back({.name = log.service,
                                .dir = deps_.paths.service_log(name, project::slug(log.service)),
                                .first_segment = log.first_segment,
                                .nonce = log.nonce});
    reply->result(out);
    return {};
  });
}

void Projects::config_check(const ipc::ConfigCheckRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    ipc::World world;
    world.env = request.env;
    const Prepared prepared =
        TRY(prepare(request.project, world, {.wishes = wishes_of(request.compose)}));
    if (!prepared.problems.empty()) {
      refuse(reply, prepared.problems);
      return {};
    }
    const project::LoadedProject& loaded = prepared.loaded;
    ipc::ConfigCheckReply out{.project = loaded.name, .file = loaded.spec.file};
    for (const project::ServiceSpec& s : loaded.spec.services) out.services.push_back(s.name);
    for (const std::string& text : loaded.notices) out.notices.push_back({"", text});
    for (const auto& [service, text] : prepared.resolved.notices)
      out.notices.push_back({service, text});
    for (const project::AskedImage& unknown : prepared.asked_images)
      if (unknown.port)
        out.notices.push_back({unknown.service, "its port is what " + unknown.image +
                                                    " exposes, which `up` finds out; or write "
                                                    "`container_port`"});
    reply->result(out);
    return {};
  });
}

void Projects::forget(const ipc::ProjectForgetRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const std::string& name = request.name;
    const ProjectState state = state_of(name);
    if (meets(ProjectVerb::forget, state) == Meets::refuse || unmanaged_projects().contains(name))
      return Error(Errc::invalid_input,
                   fmt::format("project {} is {}", name,
                               state == ProjectState::going_down ? "going down" : "up"))
          .with_hint(fmt::format("bring it down first: locald -p {} down", name));
    TRY(registry_.forget(name));
    if (deps_.networks != nullptr) TRY(deps_.networks->registry().forget(name));
    reply->result(ipc::EmptyReply());
    return {};
  });
}

void Projects::list(const ipc::ProjectListRequest&, const ReplyPtr& reply) {
  std::map<std::string, std::pair<std::string, bool>> all;
  for (const auto& [name, dir] : registry_.all()) all[name] = {dir, false};
  for (const auto& [name, project] : projects_) all[name] = {project->dir(), true};
  for (const std::string& name : unmanaged_projects()) all[name].second = true;
  ipc::ProjectListReply out;
  for (const auto& [name, entry] : all) out.projects.push_back({name, entry.first, entry.second});
  reply->result(out);
}

/// So that the next boot finds it (ProjectRegistry::up()). Where that cannot be written
/// down, the request succeeds all the same.
void Projects::note_up(const Project& project) {
  ProjectRegistry::Up up{project.name(), project.file(), {}};
  for (const auto& [service, unit] : project.supervisor().units())
    if (project.find(service) != nullptr && project.wanted(service)) up.services.push_back(service);
  (void)(up.services.empty() ? registry_.set_down(up.name) : registry_.set_up(std::move(up)));
}

void Projects::left(const ipc::LeftRequest&, const ReplyPtr& reply) {
  ipc::LeftReply out;
  for (const ProjectRegistry::Up& up : registry_.up())
    if (!projects_.contains(up.name))
      out.projects.push_back(
          {up.name, registry_.folder(up.name).value_or(""), up.file, up.services});
  reply->result(out);
}

std::vector<NamedContainer> Projects::running_containers(const std::string& project) const {
  std::vector<NamedContainer> out;
  const auto found = projects_.find(project);
  if (found == projects_.end()) return out;
  for (const auto& [service, unit] : found->second->supervisor().units())
    if (unit.pid != 0 && unit.active != nullptr && unit.active->kind != project::ServiceKind::exec)
      out.push_back({project::slug(service), deps_.paths.bundle(unit.instance)});
  return out;
}

Result<void> Projects::write_back() {
  for (const auto& [name, project] : projects_) TRY(project->write_back());
  return registry_.write_back();
}

std::set<std::string> Projects::unmanaged_projects() const {
  return deps_.unmanaged != nullptr ? deps_.unmanaged->projects() : std::set<std::string>();
}

std::vector<std::string> Projects::restore() {
  std::vector<std::string> notices;
  auto dir = sys::open(deps_.paths.run_projects(), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() != Errc::not_found) notices.push_back(dir.error().text());
  if (!dir) return notices;  // none was up
  (void)list_dir(dir->get(), [&](const std::string& file, unsigned char) -> Result<void> {
    const std::string name = file.substr(0, file.find('.'));
    if (file != name + ".json" || !project::valid_name(name)) return {};
    auto project = Project::restore(project_world(), name);
    if (project) {
      make_ready(**project);
      projects_[name] = std::move(*project);
      return {};
    }
    // Set aside, never taken as empty: its services go on, unmanaged. What only cannot be read at
    // this moment stays where it is.
    const std::string path = deps_.paths.run_project(name);
    if (says_something(project.error())) {
      (void)remove_tree(aside(path));
      (void)::rename(path.c_str(), aside(path).c_str());
    }
    notices.push_back(
        fmt::format("project {}: {}{}", name, project.error().text(),
                    exists(aside(path)) ? " (set aside as " + aside(path) + ")" : ""));
    return {};
  });
  // Whose name it is may have been lost with the registry.
  for (const auto& [name, project] : projects_)
    if (!registry_.folder(name))
      (void)registry_.claim(name, project->dir(), /*own_network=*/!has_container_on_host(*project));
  return notices;
}

void Projects::settle(const std::map<std::string, Project::Adopted>& adopted) {
  for (const auto& [name, project] : projects_) {
    const auto it = adopted.find(name);
    project->settle(it == adopted.end() ? Project::Adopted() : it->second);
  }
}

}  // namespace locald::server
