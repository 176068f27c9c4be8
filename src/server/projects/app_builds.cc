#include "server/projects/app_builds.h"

#include <algorithm>
#include <utility>

#include "server/launch/launch_plan.h"

namespace locald::server {

bool has_completed(const Supervisor::Unit* unit) {
  return unit != nullptr && unit->state.phase == Phase::exited && unit->state.exit &&
         unit->state.exit->success();
}

std::vector<RunningApp> running_apps(const Supervisor& supervisor,
                                     const std::map<std::string, project::ServiceConfig>& configs,
                                     const std::set<std::string>& services,
                                     const project::UserContext& user) {
  std::vector<RunningApp> out;
  for (const std::string& name : services) {
    const auto config = configs.find(name);
    const Supervisor::Unit* unit = supervisor.find(name);
    if (config == configs.end() || !config->second.app || unit == nullptr || unit->pid == 0)
      continue;
    cnb::AppSpec app = app_of(config->second, user);
    auto same = std::find_if(out.begin(), out.end(),
                             [&](const RunningApp& other) { return other.app == app; });
    if (same == out.end())
      same = out.insert(out.end(), RunningApp{std::move(app), {}, user.login_files});
    same->services.insert(name);
    if (config->second.entrypoint.empty()) same->process_types.insert(config->second.process);
  }
  for (RunningApp& app : out)
    for (const std::string& name : services)
      if (const auto config = configs.find(name); config != configs.end() && config->second.app &&
                                                  has_completed(supervisor.find(name)) &&
                                                  app_of(config->second, user) == app.app)
        app.completed[name] = supervisor.find(name)->life;
  return out;
}

AppBuilds::~AppBuilds() {
  *alive_ = false;
  cancel_all();
}

void AppBuilds::start(const RunningApp& app, std::function<void(Result<Json> content)> done) {
  const std::uint64_t id = next_++;
  builds_[id].services = app.services;
  for (const std::string& service : app.services) deps_.changed(service);
  builds_[id].job = deps_.build(
      app,
      [this, alive = alive_, service = *app.services.begin()](const ipc::ProgressEvent& progress) {
        if (*alive) deps_.progress(service, progress);
      },
      [this, alive = alive_, id, services = app.services,
       done = std::move(done)](Result<Json> content) {
        if (*alive) {
          builds_.erase(id);
          for (const std::string& service : services) deps_.changed(service);
        }
        done(std::move(content));
      });
}

bool AppBuilds::under_way(const std::string& service) const {
  return std::any_of(builds_.begin(), builds_.end(),
                     [&](const auto& entry) { return entry.second.services.contains(service); });
}

void AppBuilds::cancel_all() {
  for (auto& [id, build] : builds_) build.job.cancel();
}

}  // namespace locald::server
