// The requests of Projects that look closely at services: stats, inspect.
#include <ctime>
#include <utility>
#include <vector>

#include "project/shown_config.h"
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
