// `watch`: a change of a service's files restarts it.
#include <fmt/format.h>

#include <utility>

#include "server/projects/project.h"

namespace locald::server {

/// Restarts it when its files change, as long as it is wanted; one that has ended too, since the
/// change may be the correction.
void Project::watch_files(const std::string& service) {
  if (deps_.jobs == nullptr || service.empty()) return;
  const Supervisor::Unit* unit = find(service);
  if (unit == nullptr || unit->config->watch.empty() || !wanted(service) || going_down_ ||
      unit->state.phase == Phase::stopped) {
    watched_.erase(service);
    return;
  }
  const project::ServiceConfig& config = *unit->config;
  const std::string& dir = config.kind == project::ServiceKind::exec ? config.cwd : dir_;
  Watched& now = watched_[service];
  const bool same = now.dir == dir && now.what == config.watch;
  if (same && (now.files != nullptr || !now.paused.empty())) return;
  now = {.dir = dir, .what = config.watch};
  now.files = std::make_unique<FileWatch>(
      deps_.loop, *deps_.jobs, dir, config.watch,
      FileWatch::Events{
          [this, service](const std::set<std::string>& paths) { on_files(service, paths); },
          [this, service](const Error& error) {
            notice(service, "`watch`: not every change is seen: " + error.text());
          }});
}

void Project::on_files(const std::string& service, const std::set<std::string>& paths) {
  const Supervisor::Unit* unit = find(service);
  if (unit == nullptr) return;
  Watched& watched = watched_[service];
  using std::chrono::system_clock;
  const auto up = unit->state.phase == Phase::running && unit->pid != 0
                      ? std::optional<OwnChanges::Duration>(system_clock::now() - unit->started_at)
                      : std::nullopt;
  if (const auto own = watched.own.changed(paths, up)) {
    watched.paused = fmt::format(
        "`watch` is paused: {} has changed right after each of the last {} starts, so "
        "the service seems to write it; leave it out (\"!{}\" behind the patterns), "
        "then locald up; or locald restart {}",
        *own, watched.own.starts(), *own, service);
    // Not here: this is the watch's own call.
    deps_.loop.post([files = std::shared_ptr(std::move(watched.files))] {});
    notice(service, watched.paused);
    changed(service);
    return;
  }
  notice(service, *paths.begin() +
                      (paths.size() == 1 ? "" : fmt::format(" and {} more", paths.size() - 1)) +
                      " changed: restarting");
  restart_now({service});
}

/// Somebody wants these services: what they did to themselves before is forgotten.
void Project::watch_again(const std::set<std::string>& services) {
  for (const std::string& service : services) {
    const auto watched = watched_.find(service);
    if (watched == watched_.end()) continue;
    if (watched->second.paused.empty())
      watched->second.own = {};
    else
      watched_.erase(watched);
    changed(service);
  }
}

}  // namespace locald::server
