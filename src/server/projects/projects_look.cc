// The requests of Projects that look closely at services: stats, inspect.
#include <pwd.h>

#include <array>
#include <ctime>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "project/shown_config.h"
#include "runtime/process_list.h"
#include "runtime/usage.h"
#include "server/http/request.h"
#include "server/projects/projects.h"

namespace locald::server {
namespace {

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

struct LookedAt {
  std::string service, instance;
  pid_t shim_pid = 0;
};

/// Those of `targets` that run still.
ipc::StatsReply usage_of_all(const std::vector<LookedAt>& targets) {
  ipc::StatsReply out{.taken_at_ns = monotonic_ns(), .services = {}};
  for (const LookedAt& target : targets)
    if (const auto usage = runtime::usage_of(target.instance, target.shim_pid))
      out.services.push_back({.name = target.service,
                              .cpu_ns = usage->cpu_ns,
                              .memory = usage->memory,
                              .tasks = usage->tasks,
                              .read = usage->read,
                              .written = usage->written,
                              .source = usage->cgroup ? "cgroup" : "processes"});
  return out;
}

/// A name of the host's, or the number.
std::string user_name(std::uint64_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(static_cast<uid_t>(uid), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr)
    return found->pw_name;
  return std::to_string(uid);
}

ipc::TopReply processes_of(int shim_pid, bool on_host) {
  ipc::TopReply out;
  for (runtime::ListedProcess& p : runtime::processes_below(shim_pid))
    out.processes.push_back({.pid = p.pid,
                             .parent = p.parent,
                             .pid_inside = p.pid_inside,
                             .user = on_host ? user_name(p.uid) : std::to_string(p.uid),
                             .state = std::string(1, p.state),
                             .cpu_ns = p.cpu_ns,
                             .memory = p.memory,
                             .threads = p.threads,
                             .up_s = p.up_s,
                             .command = to_utf8(p.command)});
  return out;
}

}  // namespace

void Projects::stats(const ipc::StatsRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::stats));
    std::vector<LookedAt> targets;
    for (const std::string& service : TRY(services_of(project, request.services)))
      if (const Supervisor::Unit* unit = project.supervisor().find(service);
          unit != nullptr && unit->shim_pid != 0)
        targets.push_back({service, unit->instance, unit->shim_pid});
    deps_.jobs.run<ipc::StatsReply>(
        "stats of " + project.name(),
        [targets](const std::stop_token&) { return usage_of_all(targets); },
        [reply](const ipc::StatsReply& out) { reply->result(out); });
    return {};
  });
}

void Projects::top(const ipc::TopRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::stats));
    const Supervisor::Unit& unit = *TRY(find_service(project, request.service));
    if (unit.shim_pid == 0)
      return Error(Errc::invalid_input,
                   request.service + " is " + std::string(to_string(unit.state.phase)))
          .with_hint("start it: locald start " + request.service);
    const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
    deps_.jobs.run<ipc::TopReply>(
        "processes of " + request.service,
        [shim = unit.shim_pid, on_host = config.kind == project::ServiceKind::exec](
            const std::stop_token&) { return processes_of(shim, on_host); },
        [reply](const ipc::TopReply& out) { reply->result(out); });
    return {};
  });
}

void Projects::events(const ipc::EventsRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const std::string name = request.project ? TRY(name_of(*request.project)) : std::string();
    const std::set<std::string> services(request.services.begin(), request.services.end());
    if (Project* project = name.empty() ? nullptr : find(name))
      for (const std::string& service : services) (void)TRY(find_service(*project, service));
    const bool goes_on = request.since && events_.knows_after(*request.since);
    if (!goes_on) {
      ipc::SnapshotEvent now{.seq = events_.last(), .time = event_time(), .projects = {}};
      for (const auto& [known, project] : projects_) {
        if (!name.empty() && known != name) continue;
        auto states = project->status();
        if (!services.empty())
          std::erase_if(states, [&](const auto& s) { return !services.contains(s.name); });
        now.projects.push_back({known, project->dir(), std::move(states)});
      }
      reply->event(now);
    }
    events_.subscribe(reply, name, services, goes_on ? request.since : std::nullopt);
    return {};
  });
}

std::set<std::pair<std::string, std::string>> Projects::images() const {
  std::set<std::pair<std::string, std::string>> out;
  for (const auto& [name, project] : projects_)
    for (const auto& [service, unit] : project->supervisor().units()) {
      if (!unit.config->image.empty()) out.insert({unit.config->image, project->dir()});
      if (const auto& app = unit.config->app)
        for (const std::string& image : {app->builder, app->run_image})
          if (!image.empty()) out.insert({image, app->base_dir});
    }
  return out;
}

void Projects::inspect(const ipc::InspectRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::stats));
    const Supervisor::Unit& unit = *TRY(find_service(project, request.service));
    const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
    ipc::InspectReply out{.project = project.name(),
                          .service = project.status(request.service).value_or(ipc::ServiceStatus()),
                          .config = project::shown(config, request.env),
                          .image_digest = {}};
    if (config.image.empty() || !deps_.image_digest) {
      reply->result(out);
      return {};
    }
    deps_.jobs.run<std::string>(
        "look for " + config.image,
        [digest = deps_.image_digest, image = config.image,
         dir = project.dir()](const std::stop_token&) { return digest(image, dir); },
        [reply, out = std::move(out)](const std::string& digest) mutable {
          if (!digest.empty()) out.image_digest = digest;
          reply->result(out);
        });
    return {};
  });
}

}  // namespace locald::server
