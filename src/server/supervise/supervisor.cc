#include "server/supervise/supervisor.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/transient.h"
#include "project/units.h"
#include "server/supervise/net_prober.h"

namespace locald::server {
Supervisor::Supervisor(EventLoop& loop, Launcher& launcher, std::string project, std::string dir,
                       Observer observer)
    : loop_(loop),
      launcher_(launcher),
      project_(std::move(project)),
      dir_(std::move(dir)),
      observer_(std::move(observer)) {}

Supervisor::~Supervisor() { *alive_ = false; }

const Supervisor::Unit* Supervisor::find(const std::string& service) const {
  const auto it = units_.find(service);
  return it == units_.end() ? nullptr : &it->second;
}

Supervisor::Unit* Supervisor::get(const std::string& service) {
  const auto it = units_.find(service);
  return it == units_.end() ? nullptr : &it->second;
}

std::string Supervisor::probe_failure(const std::string& service) const {
  const Unit* unit = find(service);
  return unit == nullptr || unit->monitor == nullptr ? std::string()
                                                     : unit->monitor->last_failure();
}

void Supervisor::set_endpoint(const std::string& service, int shim_pid,
                              const net::Endpoint& endpoint, std::set<ino_t> sockets) {
  Unit* unit = get(service);
  if (unit == nullptr || unit->shim_pid != shim_pid ||
      (unit->endpoint == endpoint && unit->sockets == sockets))
    return;
  unit->endpoint = endpoint;
  unit->sockets = std::move(sockets);
  observer_.changed(service);
}

void Supervisor::restore(const std::string& service, ServiceState state, std::uint64_t life) {
  if (Unit* unit = get(service)) {
    unit->state = std::move(state);
    unit->life = life;
    observer_.changed(service);
  }
}

void Supervisor::write_back() {
  for (auto& [name, unit] : units_) {
    runtime::ServiceHandle* handle = unit.handle();
    if (handle == nullptr) continue;
    if (auto written = handle->write_back(); !written)
      observer_.notice(name, "its run folder was deleted: " + written.error().text());
    launcher_.write_back(unit.instance, unit.health == Health::healthy);
  }
}

runtime::ServiceHandle* Supervisor::handle(const std::string& service) {
  const Unit* unit = find(service);
  return unit == nullptr ? nullptr : unit->handle();
}

runtime::ServiceHandle* Supervisor::Unit::handle() const {
  const auto present = instances.find(instance);
  return present == instances.end() ? nullptr : present->second.handle();
}

std::optional<std::uint64_t> Supervisor::Unit::due_after() const {
  switch (state.phase) {
    case Phase::stopping:
      return state.again ? std::optional(life) : std::nullopt;
    case Phase::waiting:
      return instances.empty() ? std::nullopt : std::optional(life);
    case Phase::preparing:
      return instances.empty() ? std::nullopt : std::optional(life - 1);
    default:
      return std::nullopt;
  }
}

void Supervisor::define(const std::string& service,
                        std::shared_ptr<const project::ServiceConfig> config,
                        std::shared_ptr<const project::UserContext> user,
                        std::uint64_t first_segment) {
  Unit& unit = units_[service];
  unit.config = std::move(config);
  launcher_.defined(project_, *unit.config);
  unit.user = std::move(user);
  unit.first_segment = first_segment;
  unit.built = false;
  observer_.changed(service);
}

void Supervisor::remove(const std::string& service) {
  if (units_.erase(service) == 0) return;
  launcher_.removed(project_, service);
  observer_.changed(service);
}

bool Supervisor::quiet(const std::string& service) const {
  const Unit* unit = find(service);
  return unit == nullptr || (unit->state.ended() && unit->instances.empty());
}

void Supervisor::start(const std::set<std::string>& services) {
  // All are made to wait before any is looked at: a dependency that is started
  // by the same call must not be seen as stopped.
  for (const std::string& name : services)
    if (Unit* unit = get(name)) {
      unit->stop_wanted = unit->kill_wanted = false;
      const bool in_backoff = unit->state.phase == Phase::backoff;
      unit->state = step(std::move(unit->state), event::Start{}, unit->config->restart).next;
      if (in_backoff) {
        unit->timer.reset();
        launch(name, *unit);
      }
      observer_.changed(name);
    }
  for (const std::string& name : services) check_dependencies(name);
}

void Supervisor::restart(const std::set<std::string>& services) {
  for (const std::string& name : services)
    if (Unit* unit = get(name)) {
      unit->stop_wanted = unit->kill_wanted = false;
      apply(name, event::Restart{});
    }
}

void Supervisor::note_built(const std::set<std::string>& services) {
  for (const std::string& name : services)
    if (Unit* unit = get(name)) unit->built = true;
}

void Supervisor::stop(const std::set<std::string>& services, bool kill) {
  for (const std::string& name : services) {
    Unit* unit = get(name);
    if (unit == nullptr) continue;
    unit->built = false;
    if (kill) {
      unit->stop_wanted = false;
      unit->kill_wanted = true;
      apply(name, event::Kill{});
    } else if (unit->state.phase == Phase::stopping) {
      apply(name, event::Stop{});  // takes a restart back
    } else {
      unit->stop_wanted = true;
    }
  }
  check_stops();
}

/// Sends Stop to each that is to stop and that nobody who runs depends on, unless
/// the dependent is to stay up: then the user wants it so.
void Supervisor::check_stops() {
  bool again = true;
  while (again) {
    again = false;
    std::set<std::string> held;
    for (const auto& [name, unit] : units_) {
      const bool going =
          unit.stop_wanted || (unit.state.phase == Phase::stopping && !unit.state.again);
      if (!going || (unit.state.ended() && !unit.stop_wanted)) continue;
      const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
      for (const project::DependencyConfig& d : config.depends_on) held.insert(d.service);
    }
    std::vector<std::string> ready;
    for (const auto& [name, unit] : units_)
      if (unit.stop_wanted && !held.contains(name)) ready.push_back(name);
    if (ready.empty()) {
      // Configurations of different times may hold each other up; then all go at once.
      bool moving = false;
      for (const auto& [name, unit] : units_)
        moving = moving || unit.state.phase == Phase::stopping;
      if (!moving)
        for (const auto& [name, unit] : units_)
          if (unit.stop_wanted) ready.push_back(name);
    }
    for (const std::string& name : ready) {
      Unit* unit = get(name);
      unit->stop_wanted = false;
      apply(name, event::Stop{});
      // One that ended at once frees those it depended on.
      if (unit->state.ended()) again = true;
    }
  }
}

void Supervisor::apply(const std::string& service, const Event& event) {
  Unit* unit = get(service);
  if (unit == nullptr) return;
  const bool was_stopping = unit->state.phase == Phase::stopping;
  Step result = step(std::move(unit->state), event, unit->config->restart);
  unit->state = std::move(result.next);
  if (unit->state.phase != Phase::running) {
    unit->health = Health::none;
    unit->health_reason.clear();
  }
  for (const Action& action : result.actions) perform(service, *unit, action);
  observer_.changed(service);
  check_dependents(service);
  if (was_stopping && unit->state.phase != Phase::stopping) check_stops();
}

void Supervisor::perform(const std::string& service, Unit& unit, const Action& action) {
  struct Performer {
    Supervisor& self;
    const std::string& service;
    Unit& unit;
    void operator()(const action::CheckDependencies&) {
      // Later: the caller is in the middle of a step.
      self.loop_.post([&s = self, alive = self.alive_, name = service] {
        if (*alive) s.check_dependencies(name);
      });
    }
    void operator()(const action::Launch&) { self.launch(service, unit); }
    void operator()(const action::CancelLaunch&) { unit.launch.cancel(); }
    void operator()(const action::StopProcess&) {
      runtime::ServiceHandle* handle = unit.handle();
      if (handle == nullptr) return;
      const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
      (void)handle->stop(config.stop_signal,
                         unit.kill_wanted ? project::Milliseconds(0) : config.stop_timeout);
    }
    void operator()(const action::KillProcess&) {
      if (runtime::ServiceHandle* handle = unit.handle())
        (void)handle->stop(SIGKILL, project::Milliseconds(0));
    }
    void operator()(const action::ArmTimer& a) {
      unit.timer = self.loop_.after(
          a.delay, [&s = self, name = service] { s.apply(name, event::TimerFired{}); });
    }
    void operator()(const action::CancelTimer&) { unit.timer.reset(); }
    void operator()(const action::BeginHealth&) { self.begin_health(service, unit); }
    void operator()(const action::EndHealth&) { unit.monitor.reset(); }
  };
  std::visit(Performer{*this, service, unit}, action);
}

void Supervisor::check_dependencies(const std::string& service) {
  const Unit* unit = find(service);
  if (unit == nullptr || unit->state.phase != Phase::waiting) return;
  EdgeState waits;
  waits.kind = EdgeState::Kind::satisfied;
  for (const project::DependencyConfig& d : unit->config->depends_on) {
    const Unit* target = find(d.service);
    EdgeState edge = target == nullptr
                         ? EdgeState{EdgeState::Kind::impossible,
                                     fmt::format("{} is not part of the project", d.service)}
                         : edge_state(d.service, d.condition, target->state, target->health,
                                      target->health_reason, target->config->health.any());
    if (edge.kind == EdgeState::Kind::impossible)
      return apply(service, event::DependencyImpossible{edge.reason});
    if (edge.kind == EdgeState::Kind::pending && waits.kind == EdgeState::Kind::satisfied)
      waits = std::move(edge);
  }
  if (waits.kind == EdgeState::Kind::satisfied) return apply(service, event::DependenciesMet{});
  if (unit->state.reason != waits.reason || unit->state.held_up != waits.held_up)
    apply(service, event::DependenciesWait{waits.reason, waits.held_up});
}

void Supervisor::check_dependents(const std::string& service) {
  std::vector<std::string> waiting;
  for (const auto& [name, unit] : units_) {
    if (unit.state.phase != Phase::waiting) continue;
    for (const project::DependencyConfig& d : unit.config->depends_on)
      if (d.service == service) waiting.push_back(name);
  }
  for (const std::string& name : waiting) check_dependencies(name);
}

}  // namespace locald::server
