// Requests that wait until a Project's services have started, are well or have ended.
#include <utility>

#include "server/projects/project.h"
#include "server/supervise/service_status.h"

namespace locald::server {
namespace {

/// Nullopt: still to be waited for; else why it failed, "" for well.
/// @param completes  that it runs is not enough
std::optional<std::string> settled(const Supervisor::Unit& unit, Project::Until until,
                                   const std::string& probe_failure, bool completes) {
  const ServiceState& s = unit.state;
  if (until == Project::Until::ended)
    return s.ended() ? std::optional(std::string()) : std::nullopt;
  const auto why = [&](std::string_view what) {
    return s.reason.empty() ? std::string(what) : s.reason;
  };
  switch (s.phase) {
    case Phase::failed:
      return why("failed");
    case Phase::stopped:
      return why("was stopped");
    case Phase::exited:
      return s.exit && s.exit->success() ? std::string() : why("has ended");
    case Phase::running:
      if (completes) return std::nullopt;
      if (until == Project::Until::started || unit.health == Health::none ||
          unit.health == Health::healthy)
        return "";
      if (unit.health == Health::unhealthy)
        return "unhealthy" + (probe_failure.empty() ? "" : ": " + probe_failure);
      return std::nullopt;
    case Phase::backoff:
      // It has not started, and will once what holds it up has passed: not now, it seems.
      if (s.held_up)
        return s.history.failures >= kHopelessFailures ? std::optional(s.reason) : std::nullopt;
      if (until == Project::Until::started) return "";  // it did
      if (s.history.failures >= kHopelessFailures) return "keeps ending: " + s.reason;
      return std::nullopt;
    case Phase::waiting:
      return s.held_up ? std::optional(s.reason) : std::nullopt;
    case Phase::preparing:
    case Phase::starting:
    case Phase::stopping:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

/// Those who wait for services to come up; with `all` also those who wait for their end, which this
/// is.
void Project::end_waits(bool all) {
  std::vector<std::uint64_t> over;
  for (auto& [id, waiting] : waits_) {
    const bool for_end = waiting.until == Until::ended || waiting.until == Until::quiet ||
                         waiting.until == Until::down;
    if (for_end && !all) continue;
    waiting.outcome.brought_down = !for_end;
    over.push_back(id);
  }
  for (const std::uint64_t id : over) finish(id);
}

/// Somebody wants them up: who waits for their end might wait for ever.
void Project::taken_up(const std::set<std::string>& services) {
  for (auto& [id, waiting] : waits_) {
    if (waiting.until != Until::quiet) continue;
    for (const std::string& service : services)
      if (waiting.pending.erase(service) != 0)
        waiting.outcome.failed[service] = "was started again by another command";
  }
  changed({});  // the next flush ends those who wait for nothing more
}

void Project::wait(std::set<std::string> services, Until until,
                   std::optional<project::Milliseconds> timeout, std::function<void(Outcome)> done,
                   std::set<std::string> completing) {
  const std::uint64_t id = next_id_++;
  Waiting& waiting = waits_[id];
  waiting.services = services;
  waiting.pending = std::move(services);
  waiting.completing = std::move(completing);
  waiting.until = until;
  waiting.done = std::move(done);
  if (timeout)
    waiting.timer = deps_.loop.after(*timeout, [this, id] {
      waits_[id].outcome.pending = waits_[id].pending;
      finish(id);
    });
  // Looked at in the next flush, with everything that happens until then.
  for (const std::string& s : waiting.pending) dirty_.insert(s);
  if (waiting.pending.empty()) dirty_.insert(std::string());  // {} would be a list of none
  changed({});
  if (going_down_) end_waits(/*all=*/false);
}

/// Only what keeps it from coming to be as it is waited for: status() has notes beside that.
std::string Project::lateness(const std::string& service, Until until) const {
  const Supervisor::Unit* unit = supervisor_.find(service);
  if (unit == nullptr) return "";
  const auto status = service_status(service, *unit, supervisor_.probe_failure(service));
  const bool comes_up = until == Until::started || until == Until::ready;
  return comes_up && status.reason ? ": " + *status.reason : " (" + status.state + ")";
}

void Project::check(const std::string& service) {
  std::vector<std::uint64_t> finished;
  const Supervisor::Unit* unit = supervisor_.find(service);
  for (auto& [id, waiting] : waits_) {
    if (waiting.until == Until::down) continue;  // close() ends it
    if (waiting.pending.empty()) {
      finished.push_back(id);
      continue;
    }
    if (!waiting.pending.contains(service)) continue;
    std::optional<std::string> result;
    if (waiting.until == Until::quiet)
      result = supervisor_.quiet(service) ? std::optional<std::string>("") : std::nullopt;
    else if (vanished_.contains(service))
      continue;  // until it is gone
    else if (unit == nullptr)
      result = "";
    else
      result = settled(*unit, waiting.until, supervisor_.probe_failure(service),
                       waiting.completing.contains(service));
    if (!result) continue;
    if (!result->empty()) waiting.outcome.failed[service] = *result;
    waiting.pending.erase(service);
    if (waiting.pending.empty()) finished.push_back(id);
  }
  for (const std::uint64_t id : finished) finish(id);
}

void Project::finish(std::uint64_t id) {
  auto node = waits_.extract(id);
  if (node.empty()) return;
  // One that was well when it was looked at may have failed while others were waited for.
  Waiting& waiting = node.mapped();
  for (const std::string& service :
       waiting.until == Until::ready ? waiting.services : std::set<std::string>()) {
    const Supervisor::Unit* unit = supervisor_.find(service);
    if (unit == nullptr || waiting.pending.contains(service)) continue;
    if (const auto result = settled(*unit, waiting.until, supervisor_.probe_failure(service),
                                    waiting.completing.contains(service));
        result && !result->empty())
      waiting.outcome.failed[service] = *result;
  }
  for (auto& [service, why] : waiting.outcome.failed) why = worded(why);
  // By post: a waiting request may change what we are in the middle of.
  deps_.loop.post([done = std::move(node.mapped().done),
                   outcome = std::move(node.mapped().outcome)] { done(outcome); });
}

}  // namespace locald::server
