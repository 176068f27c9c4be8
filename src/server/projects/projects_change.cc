// The requests of Projects that change what runs: up, start, stop, restart.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "project/project_check.h"
#include "project/wording.h"
#include "server/http/request.h"
#include "server/launch/launch_plan.h"
#include "server/projects/missing_folders.h"
#include "server/projects/projects.h"
#include "server/projects/projects_prepare.h"
#include "server/projects/projects_wait.h"
#include "server/projects/runs_once.h"

namespace locald::server {

namespace {

/// What the named services of an `up` depend on.
std::set<std::string> dependencies_of(const project::ProjectSpec& spec,
                                      const std::vector<std::string>& services,
                                      std::set<std::string>& completing) {
  std::set<std::string> out;
  for (const std::string& name : services)
    for (const project::DependencySpec& d : spec.find(name)->depends_on) {
      out.insert(d.service);
      if (condition_of(d, spec.find(d.service)) == project::DependsCondition::completed)
        completing.insert(d.service);
    }
  return out;
}

}  // namespace

Result<std::vector<std::pair<std::string, cnb::AppSpec>>> Projects::apps(
    const ipc::ProjectPlace& place, const ipc::World& world, std::vector<std::string> wanted) {
  const Prepared prepared = TRY(prepare(place, world, {}));
  if (!prepared.problems.empty()) return project::problems_error(prepared.problems);
  const project::Resolved& resolved = prepared.resolved;
  std::vector<std::string> known;
  for (const auto& [name, config] : resolved.services)
    if (config.app) known.push_back(name);
  if (known.empty()) {
    Error error =
        Error(Errc::invalid_input,
              fmt::format("no service of {} is built with buildpacks", prepared.loaded.spec.file))
            .with_hint(
                "set type = \"cnb\" in the service; a folder can be built without a "
                "project: locald build ./FOLDER --builder IMAGE");
    if (prepared.loaded.spec.compose) return project::in_compose_words(error);
    return error;
  }
  if (wanted.empty()) wanted = known;
  std::vector<std::pair<std::string, cnb::AppSpec>> out;
  for (const std::string& name : wanted) {
    const auto found = resolved.services.find(name);
    if (found == resolved.services.end()) return no_service(name, known);
    if (!found->second.app)
      return Error(Errc::invalid_input, fmt::format("{} is not built with buildpacks", name))
          .with_hint("these are: " + join(known, ", "));
    out.emplace_back(name, app_of(found->second, *prepared.user));
  }
  return out;
}

void Projects::bring_up(const ipc::UpRequest& request, const ReplyPtr& reply, Looked looked) {
  or_error(reply, [&]() -> Result<void> {
    Prepared prepared = TRY(prepare(request.project, request.world,
                                    {.refresh = request.env_refresh,
                                     .images_tell = looked.images,
                                     .services = request.services,
                                     .wishes = wishes_of(request)}));
    if (!prepared.problems.empty()) {
      refuse(reply, prepared.problems);
      return {};
    }
    if (!prepared.asked_images.empty() && !looked.images) {
      pull_first(request, reply, prepared);
      return {};
    }
    const project::LoadedProject& loaded = prepared.loaded;
    project::Resolved& resolved = prepared.resolved;
    const std::shared_ptr<const project::UserContext> user = prepared.user;
    const bool refresh = request.env_refresh;
    Project* project = find(loaded.name);
    if (all_leave_)
      return Error(Errc::cancelled, "the server is stopping").with_hint("try again in a moment");
    if (meets(ProjectVerb::up, state_of(loaded.name)) == Meets::queue) {
      send_notice(
          reply, "",
          fmt::format("project {} is going down: it is brought up after that", loaded.name));
      leaving_[loaded.name].ups.emplace_back(request, reply);
      return {};
    }
    std::vector<std::string> known;
    std::set<std::string> selected;
    for (const project::ServiceSpec& s : loaded.spec.services) known.push_back(s.name);
    for (const std::string& name : request.services) {
      if (loaded.spec.find(name) == nullptr) return no_service(name, known);
      selected.insert(name);
    }
    std::set<std::string> completing;
    if (request.dependencies)
      selected = dependencies_of(loaded.spec, request.services, completing);
    else if (selected.empty())
      selected.insert(known.begin(), known.end());
    selected = project::make_graph(loaded.spec).with_dependencies(selected);

    // What another profile has brought up stays as it is.
    if (project != nullptr)
      for (const std::string& name : loaded.disabled)
        if (const Supervisor::Unit* unit = project->find(name))
          resolved.services.try_emplace(name, *unit->config);

    // Before anything stops: a port in use leaves all as it is.
    if (!looked.ports && project != nullptr && deps_.networks != nullptr &&
        deps_.networks->try_ports(loaded.name, project->ports_to_try(resolved.services, selected),
                                  [this, request, reply](const Result<void>& free) {
                                    if (!free) return reply->error(free.error());
                                    if (reply->open())
                                      bring_up(request, reply, {.images = true, .ports = true});
                                  }))
      return {};

    for (const auto& [service, folder] : resolved.to_create) {
      if (!selected.contains(service)) continue;
      TRY(create_missing_folder(folder, PathJudge(deps_.paths, deps_.shared.all())));
      send_notice(reply, service, fmt::format("created the folder {}", folder));
    }
    TRY(registry_.claim(loaded.name, loaded.spec.dir, /*own_network=*/!loaded.stays_on_host));
    if (const std::string text = host_notice(loaded); !text.empty()) send_notice(reply, "", text);
    const bool fresh = project == nullptr;
    if (fresh) {
      auto made = std::make_unique<Project>(project_world(), loaded.name, loaded.spec.dir,
                                            loaded.spec.file);
      project = made.get();
      make_ready(*project);
      projects_[loaded.name] = std::move(made);
      events_.add({.kind = "up", .project = loaded.name});
    }
    for (const std::string& text : loaded.notices)
      if (project->tell_once(text)) send_notice(reply, "", text);
    for (const auto& [service, text] : resolved.notices) send_notice(reply, service, text);
    if (!fresh && !refresh)
      if (const std::string text = other_environment(project->supervisor(), resolved.services,
                                                     selected, *prepared.here, *user);
          !text.empty())
        send_notice(reply, "", text);
    if (refresh) {
      std::set<std::string> others;
      for (const auto& [service, unit] : project->supervisor().units())
        if (!selected.contains(service) &&
            (!unit.state.ended() || unit.state.phase == Phase::exited))
          others.insert(service);
      for (const auto& [service, text] : project->refreshed().note(
               resolved.capture, resolved.uses,
               [project](const auto&service, const auto&name) {
                 return project->captured(service, name);
               },
               others))
        send_notice(reply, service, text);
    }
    project->capture(resolved.capture, user);
    project->remember(prepared.wishes);
    const auto apps = running_apps(project->supervisor(), resolved.services, selected, *user);
    std::set<std::string> now = selected;
    for (const RunningApp& app : apps)
      for (const std::string& service : app.services) now.erase(service);
    if (deps_.networks != nullptr)
      TRY(deps_.networks->registry().set_ports(loaded.name, prepared.ports));
    const std::vector<std::string> none;
    auto await =
        project->apply(resolved.services, now, user, {}, refresh,
                       done_again(project->supervisor(), resolved.services, now,
                                  request.dependencies ? none : request.services,
                                  project->compose() && !request.dependencies,
                                  [&](const project::ServiceConfig& config) {
                                    return image_changed(loaded.name, loaded.spec.dir, config);
                                  }));
    if (!await) {
      if (fresh) bring_down(*project, /*volumes=*/false);
      return std::move(await).error();
    }
    for (const auto& [service, text] : project->refreshed().take(now, project->changes()))
      send_notice(reply, service, text);
    await->insert(selected.begin(), selected.end());
    note_up(*project);
    if (request.wait)  // that one of these runs is not what is waited for
      for (const std::string& service : selected)
        if (resolved.services.at(service).once) completing.insert(service);
    const auto on_built = [configs = std::move(resolved.services), user, refresh,
                           update = project->begin_update()](Project& p, const RunningApp& app,
                                                             const Json& content) -> Result<void> {
      if (p.last_update() != update) return {};  // a later `up` builds, and takes, what is newer
      std::set<std::string> present, rebuilt;
      for (const std::string& service : app.services) {
        if (!p.wanted(service)) continue;
        present.insert(service);
        if (const auto* unit = p.supervisor().find(service);
            unit != nullptr && unit->content != content)
          rebuilt.insert(service);
      }
      if (!rebuilt.empty())
        for (const auto& [service, life] : app.completed)
          if (const auto* unit = p.supervisor().find(service);
              p.wanted(service) && has_completed(unit) && unit->life == life) {
            present.insert(service);
            rebuilt.insert(service);
          }
      (void)TRY(p.apply(configs, present, user, rebuilt, refresh));
      return {};
    };
    Wait wait{reply,
              std::move(*await),
              request.wait ? Project::Until::ready : Project::Until::started,
              request.timeout,
              {},
              std::move(completing)};
    if (project->republished().empty() || deps_.networks == nullptr) {
      build_and_answer(*project, apps, on_built, wait);
      return {};
    }
    deps_.networks->when_updated(
        loaded.name,
        [this, name = loaded.name, apps, on_built, wait, republished = project->republished(),
         life = project->life()](const Result<void>& told) mutable {
          Project* p = *life ? find(name) : nullptr;
          if (p == nullptr || p->going_down()) return wait.reply->error(brought_down(name));
          for (const std::string& service : republished) {
            std::string lacking =
                told ? deps_.networks->lacking(name, service) : told.error().text();
            if (!lacking.empty()) wait.failed[service] = std::move(lacking);
          }
          build_and_answer(*p, apps, on_built, wait);
        });
    return {};
  });
}

/// Fetches the images that tell where their containers listen, and begins again: what others are
/// told, and what is published, follows from it.
void Projects::pull_first(const ipc::UpRequest& request, const ReplyPtr& reply,
                          const Prepared& prepared) {
  auto jobs = deps_.image_answers->pull(
      {.services = prepared.asked_images,
       .dir = prepared.loaded.spec.dir,
       .login_files = prepared.here->login_files,
       .progress =
           [reply](const std::string& service, ipc::ProgressEvent progress) {
             progress.service = service;
             reply->event(encode_text(progress));
           },
       .notice = [reply](const std::string& service,
                         const std::string& text) { send_notice(reply, service, text); },
       .done =
           [this, request, reply](Result<void> done) {
             if (!reply->open()) return;
             if (!done) return reply->error(done.error());
             bring_up(request, reply, {.images = true});
           }});
  reply->on_hangup([jobs]() mutable {
    for (JobPool::Job& job : jobs) job.cancel();
  });
}

void Projects::start(const ipc::StartRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::start));
    std::set<std::string> services = TRY(services_of(project, request.services));
    project::ServiceGraph graph;
    for (const auto& [name, unit] : project.supervisor().units())
      for (const project::DependencyConfig& d : unit.config->depends_on)
        graph.add_edge(name, d.service);
    std::set<std::string> all = services;
    for (const std::string& s : graph.with_dependencies(services)) {
      // What has completed stays so.
      const Supervisor::Unit* unit = project.supervisor().find(s);
      if (unit != nullptr && !has_completed(unit)) all.insert(s);
    }
    project.start(all);
    note_up(project);
    answer_when(project, {reply, services, Project::Until::started, request.timeout});
    return {};
  });
}

void Projects::stop(const ipc::StopRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::stop));
    const std::set<std::string> services = TRY(services_of(project, request.services));
    const bool join = meets(ProjectVerb::stop, state_of(project.name())) == Meets::join;
    if (!join) {
      project.stop(services);
      note_up(project);
    }
    answer_when(project, {reply, services, join ? Project::Until::down : Project::Until::quiet,
                          request.timeout});
    return {};
  });
}

void Projects::restart(const ipc::RestartRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::restart));
    std::set<std::string> services = TRY(services_of(project, request.services));
    if (request.services.empty()) leave_done(project.supervisor(), services);
    std::map<std::string, project::ServiceConfig> configs;
    std::shared_ptr<const project::UserContext> user;
    for (const std::string& service : services) {
      const Supervisor::Unit* unit = project.supervisor().find(service);
      configs.emplace(service, *unit->config);
      user = unit->user;
    }
    const auto apps = user == nullptr
                          ? std::vector<RunningApp>()
                          : running_apps(project.supervisor(), configs, services, *user);
    std::set<std::string> now = services;
    for (const RunningApp& app : apps)
      for (const std::string& service : app.services) now.erase(service);
    project.restart(now);
    const auto on_built = [](Project& p, const RunningApp& app, const Json&) -> Result<void> {
      std::set<std::string> present = app.services;
      std::erase_if(present, [&](const std::string& service) { return !p.wanted(service); });
      p.supervisor().note_built(present);
      p.restart(present);
      return {};
    };
    build_and_answer(project, apps, on_built,
                     {reply, services, Project::Until::started, request.timeout});
    return {};
  });
}

}  // namespace locald::server
