// The way of a project down, and what is removed with it.
#include <fmt/format.h>

#include <utility>

#include "server/http/request.h"
#include "server/projects/projects.h"

namespace locald::server {

/// The project's `leaving_` is there from here on, until is_down().
void Projects::bring_down(Project& project, bool volumes, bool kill) {
  Leaving& leaving = leaving_[project.name()];
  leaving.volumes = leaving.volumes || volumes;
  project.bring_down(volumes, kill);
}

void Projects::down(const ipc::DownRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const bool volumes = request.volumes;
    const std::string name = TRY(name_of(request.project));
    const ProjectState state = state_of(name);
    if (state == ProjectState::down)
      remove_records(deps_.paths, name);  // of one that was set aside
    Leaving& leaving = leaving_[name];
    leaving.volumes = leaving.volumes || volumes;
    leaving.after.emplace_back([reply](const Result<void>& removed) {
      if (removed)
        reply->result(ipc::EmptyReply());
      else
        reply->error(removed.error());
    });
    // The last word counts.
    for (const auto& [asked, waiting] : std::exchange(leaving.ups, {}))
      waiting->error(brought_down(name));
    if (Project* project = find(name)) {
      (void)project->subscribe(reply, {}, /*present=*/false);
      bring_down(*project, volumes);
    } else if (state == ProjectState::down) {
      on_quiet(name);  // what its record would tell of may be there without it
    }
    return {};
  });
}

void Projects::on_quiet(const std::string& name) {
  deps_.end_sessions(name, [this, name] { remove_what_is_left(name); });
}

void Projects::remove_what_is_left(const std::string& name) {
  Project* project = find(name);
  Leaving& leaving = leaving_[name];
  if (project != nullptr) leaving.volumes = leaving.volumes || project->remove_volumes();
  const bool volumes = leaving.volumes;
  bool containers = project == nullptr;
  if (project != nullptr)
    for (const auto& [service, unit] : project->supervisor().units())
      containers = containers || unit.config->kind != project::ServiceKind::exec;
  const bool network = deps_.networks != nullptr && deps_.networks->is_live(name);
  if (!containers && !volumes && !network) return is_down(name, {});
  deps_.remove_data(name, volumes, [this, name, volumes](const Result<void>& removed) {
    // A second `down` may have asked for more since.
    if (leaving_[name].volumes && !volumes) return remove_what_is_left(name);
    is_down(name, removed);
  });
}

void Projects::is_down(const std::string& name, const Result<void>& removed) {
  Result<void> result;
  if (!removed)
    result = Error(removed.error())
                 .with_context(fmt::format("project {} is down, but not "
                                           "everything of it could be removed",
                                           name));
  if (Project* project = find(name)) {
    if (!result && leaving_[name].after.empty()) project->notice("", result.error().text());
    project->close();
    projects_.erase(name);
    events_.add({.kind = "down", .project = name});
  }
  (void)registry_.set_down(name);
  const Leaving left = std::move(leaving_[name]);
  leaving_.erase(name);
  // Chosen ports go with the volumes.
  if (left.volumes && deps_.networks != nullptr) (void)deps_.networks->registry().forget(name);
  for (const auto& call : left.after) call(result);
  // Who has hung up while it waited wants it no more.
  for (const auto& [request, reply] : left.ups)
    if (reply->open()) up(request, reply);
  tell_if_all_down();
}

void Projects::kill(const ipc::KillRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    bring_down(*TRY(find_up(request.project, ProjectVerb::kill)), /*volumes=*/false, /*kill=*/true);
    reply->result(ipc::EmptyReply());
    return {};
  });
}

void Projects::bring_all_down(std::function<void()> done) {
  all_leave_ = true;
  when_all_down_.push_back(std::move(done));
  for (auto& [name, leaving] : leaving_)
    for (const auto& [asked, reply] : std::exchange(leaving.ups, {}))
      reply->error(brought_down(name));
  for (const auto& [name, project] : projects_) bring_down(*project, /*volumes=*/false);
  tell_if_all_down();
}

void Projects::tell_if_all_down() {
  if (!all_leave_ || !projects_.empty() || !leaving_.empty()) return;
  for (const auto& call : std::exchange(when_all_down_, {})) call();
}

}  // namespace locald::server
