// How requests of Projects that change what runs are answered.
#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "server/http/request.h"
#include "server/projects/projects.h"
#include "server/projects/projects_wait.h"
#include "server/supervise/edge_state.h"

namespace locald::server {

/// Builds `apps` while their services go on, has `go_on` take up each that was built, and answers
/// when everything has come to what is waited for.
void Projects::build_and_answer(Project& project, const std::vector<RunningApp>& apps,
                                OnBuilt on_built, Wait wait) {
  if (apps.empty()) return answer_when(project, wait);
  struct Building {
    Wait wait;
    std::size_t left = 0;
    Project::Subscription subscription = 0;
    EventLoop::Clock::time_point since = EventLoop::Clock::now();
  };
  const auto building = std::make_shared<Building>();
  building->wait = std::move(wait);
  building->left = apps.size();
  building->subscription =
      project.subscribe(building->wait.reply, building->wait.services, /*present=*/false);
  for (const RunningApp& app : apps)
    project.build(app, [this, building, app, on_built, name = project.name(),
                        life = project.life()](Result<Json> content) {
      Project* p = *life ? find(name) : nullptr;
      Wait& waiting = building->wait;
      Result<void> taken;
      if (!content)
        taken = std::move(content).error();
      else if (p == nullptr || p->going_down())
        taken = Error(Errc::cancelled, "cancelled");
      else
        taken = on_built(*p, app, *content);
      if (!taken)
        for (const std::string& service : app.services)
          waiting.failed[service] =
              taken.error().code() == Errc::cancelled ? "was stopped" : taken.error().text();
      if (--building->left != 0) return;
      if (p == nullptr || p->going_down()) return waiting.reply->error(brought_down(name));
      p->unsubscribe(building->subscription);
      if (waiting.timeout)
        *waiting.timeout =
            std::max(project::Milliseconds(0),
                     *waiting.timeout - std::chrono::duration_cast<project::Milliseconds>(
                                            EventLoop::Clock::now() - building->since));
      answer_when(*p, waiting);
    });
}

namespace {

/// The services for whose failure those in `failed` have failed: their output tells why.
std::set<std::string> roots_of(const Supervisor& supervisor,
                               const std::map<std::string, std::string>& failed) {
  std::set<std::string> roots, seen;
  std::vector<std::string> left;
  for (const auto& [service, why] : failed) left.push_back(service);
  while (!left.empty()) {
    const std::string service = std::move(left.back());
    left.pop_back();
    const Supervisor::Unit* unit = supervisor.find(service);
    if (unit == nullptr || !unit->state.inherited || !seen.insert(service).second) continue;
    for (const project::DependencyConfig& d : unit->config->depends_on) {
      const Supervisor::Unit* on = supervisor.find(d.service);
      if (on == nullptr || on->state.phase == Phase::stopped || on->state.phase == Phase::stopping)
        continue;
      if (on->state.inherited)
        left.push_back(d.service);
      else if (edge_state(d.service, d.condition, on->state, on->health, on->health_reason,
                          on->config->health.any())
                   .kind == EdgeState::Kind::impossible)
        roots.insert(d.service);
    }
  }
  return roots;
}

}  // namespace

/// Streams what happens to the services until all have come to what is waited for, then answers.
void Projects::answer_when(Project& project, const Wait& wait) {
  const auto subscription = project.subscribe(wait.reply, wait.services, /*present=*/false);
  project.wait(
      wait.services, wait.until, wait.timeout,
      [this, name = project.name(), wait, subscription,
       life = project.life()](Project::Outcome outcome) {
        if (outcome.brought_down) return wait.reply->error(brought_down(name));
        ipc::UpReply out{.project = name, .timed_out = !outcome.pending.empty()};
        Project* p = *life ? find(name) : nullptr;
        const auto status_of = [p](const std::string& service) {
          return p != nullptr ? p->status(service) : std::nullopt;
        };
        if (p != nullptr)
          for (const auto& [service, what] : p->changes())
            if (wait.services.contains(service)) out.changes[service] = what;
        std::set<std::string> told = wait.services;
        if (p != nullptr)
          for (const std::string& root : roots_of(p->supervisor(), outcome.failed)) {
            outcome.failed.emplace(root, p->supervisor().find(root)->state.reason);
            told.insert(root);
          }
        for (const std::string& service : told)
          if (auto status = status_of(service)) out.services.push_back(std::move(*status));
        for (const auto& [service, why] : wait.failed) outcome.failed[service] = why;
        for (const auto& [service, why] : outcome.failed) {
          out.failed.push_back(service);
          out.reasons[service] = why;
        }
        for (const std::string& service : outcome.pending) {
          out.failed.push_back(service);
          out.reasons[service] =
              "not in time" + (p != nullptr ? p->lateness(service, wait.until) : std::string());
        }
        if (p != nullptr) p->unsubscribe(subscription);
        wait.reply->result(out);
      },
      wait.completing);
}

void Projects::wait(const ipc::WaitRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(find_up(request.project, ProjectVerb::wait));
    if (request.services.empty())
      return Error(Errc::invalid_input, "request wait: services: none are named");
    answer_when(project,
                {reply, TRY(services_of(project, request.services)),
                 request.exited ? Project::Until::ended : Project::Until::ready, request.timeout});
    return {};
  });
}

}  // namespace locald::server
