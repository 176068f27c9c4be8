#include "server/supervise/supervisor.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/transient.h"
#include "project/units.h"
#include "runtime/kept_handle.h"
#include "server/supervise/net_prober.h"

namespace locald::server {
namespace {

ExitInfo exit_info(const runtime::ExitStatus& status) {
  return {status.code, status.signal, status.never_ran, status.may_pass, status.reason};
}

constexpr project::Milliseconds kAtOnce{5000};

std::string short_id() {
  // [0-9a-z]{12}: hex digits are of these.
  return random_hex(6);
}

}  // namespace

EdgeState edge_state(const std::string& dependency, project::DependsCondition condition,
                     const ServiceState& state, Health health, const std::string& health_reason,
                     bool has_check) {
  using Kind = EdgeState::Kind;
  // The next step is said where it failed, not by all that depend on it.
  const std::string why = state.reason.substr(0, state.reason.find("\n  hint: "));
  const std::string because = why.empty() ? "" : ": " + why;
  const auto impossible = [&](std::string_view what) {
    // What failed for another's sake hands on why that one did: the root, not the way to it.
    if (state.inherited) return EdgeState{Kind::impossible, state.reason};
    return EdgeState{Kind::impossible, fmt::format("{} {}{}", dependency, what, because)};
  };
  const std::string_view wanted = condition == project::DependsCondition::completed ? "to complete"
                                  : condition == project::DependsCondition::healthy
                                      ? "to be healthy"
                                      : "to start";
  const EdgeState pending{Kind::pending, fmt::format("waits for {} {}", dependency, wanted)};
  if (condition == project::DependsCondition::healthy && !has_check)
    condition = project::DependsCondition::started;

  switch (state.phase) {
    case Phase::stopped:
      return impossible("is stopped");
    case Phase::failed:
      return impossible("failed");
    case Phase::stopping:
      if (state.again) return pending;
      return impossible("is being stopped");
    case Phase::waiting:
      return {Kind::pending, pending.reason, state.held_up};
    case Phase::preparing:
    case Phase::starting:
      return pending;
    case Phase::backoff:
      // It has not started yet, and may at any time: its dependents keep waiting.
      if (state.held_up)
        return {
            Kind::pending,
            fmt::format("{} ({})", pending.reason, state.reason.substr(0, state.reason.find('\n'))),
            state.history.failures >= kHopelessFailures};
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (state.history.failures >= kHopelessFailures) return impossible("keeps ending");
      return pending;
    case Phase::exited:
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (condition == project::DependsCondition::completed && state.exit && state.exit->success())
        return {Kind::satisfied, {}};
      return impossible(condition == project::DependsCondition::completed ? "did not complete"
                                                                          : "has ended");
    case Phase::running:
      if (condition == project::DependsCondition::started) return {Kind::satisfied, {}};
      if (condition == project::DependsCondition::completed) return pending;
      if (health == Health::healthy) return {Kind::satisfied, {}};
      if (health == Health::unhealthy)
        return {Kind::impossible, fmt::format("{} is unhealthy{}", dependency,
                                              health_reason.empty() ? "" : ": " + health_reason)};
      return {Kind::pending, health_reason.empty()
                                 ? pending.reason
                                 : fmt::format("{} ({})", pending.reason, health_reason)};
  }
  return pending;
}

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
                              const net::Endpoint& endpoint) {
  Unit* unit = get(service);
  if (unit == nullptr || unit->shim_pid != shim_pid || unit->endpoint == endpoint) return;
  unit->endpoint = endpoint;
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
    if (unit.handle == nullptr) continue;
    if (auto written = runtime::write_back(unit.handle.get()); !written)
      observer_.notice(name, "its run folder was deleted: " + written.error().text());
    launcher_.write_back(unit.instance, unit.health == Health::healthy);
  }
}

runtime::ServiceHandle* Supervisor::handle(const std::string& service) {
  Unit* unit = get(service);
  return unit == nullptr ? nullptr : unit->handle.get();
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
  return unit == nullptr || (unit->state.ended() && unit->handle == nullptr && unit->cleaning == 0);
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
      if (unit.handle == nullptr) return;
      const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
      (void)unit.handle->stop(config.stop_signal,
                              unit.kill_wanted ? project::Milliseconds(0) : config.stop_timeout);
    }
    void operator()(const action::KillProcess&) {
      if (unit.handle != nullptr) (void)unit.handle->stop(SIGKILL, project::Milliseconds(0));
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

LaunchRequest Supervisor::request(const Unit& unit) const {
  LaunchRequest r{
      project_,   dir_, unit.instance, unit.nonce, unit.life, unit.state.history.restarts,
      unit.built, {},   unit.active,   unit.user,  {}};
  for (const auto& [name, other] : units_) {
    r.hosts.push_back(name);
    if (other.endpoint && other.endpoint->host != net::Endpoint().host)
      r.peers[name] = {other.shim_pid, other.endpoint->port, other.endpoint};
  }
  if (unit.active)
    for (const project::LateText& late : unit.active->late)
      for (const project::LateText::Piece& piece : late.pieces)
        if (const Unit* peer = find(piece.service);
            peer != nullptr && peer->shim_pid != 0 && peer->active)
          r.peers[piece.service] = {peer->shim_pid, static_cast<std::uint16_t>(peer->active->port),
                                    peer->endpoint};
  return r;
}

void Supervisor::launch(const std::string& service, Unit& unit) {
  ++unit.life;
  unit.instance = short_id();
  unit.nonce = random_hex(16);
  unit.active = unit.config;
  unit.kill_wanted = false;
  const auto present = [this, alive = alive_, service, life = unit.life]() -> Unit* {
    Unit* u = *alive ? get(service) : nullptr;
    return u != nullptr && u->life == life ? u : nullptr;
  };
  Launcher::LaunchEvents events;
  events.progress = [this, present, service](const ipc::ProgressEvent& progress) {
    if (present() != nullptr) observer_.progress(service, progress);
  };
  events.notice = [this, present, service](const std::string& text) {
    if (present() != nullptr) observer_.notice(service, text);
  };
  events.done = [this, present, service](Result<std::unique_ptr<runtime::ServiceHandle>> result) {
    Unit* u = present();
    if (u == nullptr)
      return;  // dropping the handle leaves the process; a unit is only removed when quiet
    if (!result) {
      u->active.reset();
      const auto now = EventLoop::Clock::now().time_since_epoch();
      return apply(service,
                   event::LaunchFailed{result.error().message(), result.error().hint(),
                                       may_pass(result.error()),
                                       std::chrono::duration_cast<project::Milliseconds>(now)});
    }
    u->handle = std::move(*result);
    u->shim_pid = u->handle->shim_pid();
    apply(service, event::Launched{});
    if (Unit* now = present()) listen(service, *now);
  };
  unit.launch = launcher_.launch(request(unit), std::move(events));
  unit.built = false;
}

void Supervisor::listen(const std::string& service, Unit& unit) {
  const auto present = [this, alive = alive_, service, life = unit.life]() -> Unit* {
    Unit* u = *alive ? get(service) : nullptr;
    return u != nullptr && u->life == life ? u : nullptr;
  };
  runtime::ServiceHandle::Events events;
  events.started = [this, present, service](int pid) {
    Unit* u = present();
    if (u == nullptr) return;
    u->pid = pid;
    u->content = launcher_.content(request(*u));
    u->started_at = u->handle->started_at();
    if (u->started_at.time_since_epoch().count() == 0)
      u->started_at = std::chrono::system_clock::now();
    // An adopted process may be old: its age decides how often it is probed and whether it ran
    // well.
    const auto age = std::max(std::chrono::system_clock::now() - u->started_at,
                              std::chrono::system_clock::duration(0));
    u->running_since =
        EventLoop::Clock::now() - std::chrono::duration_cast<EventLoop::Clock::duration>(age);
    apply(service, event::Started{});
    observer_.running(service);
  };
  events.exited = [this, present, service](const runtime::ExitStatus& status) {
    // Never from within the handle's own callback: ended() destroys it.
    loop_.post([this, present, service, status] {
      if (Unit* u = present()) ended(service, *u, status);
    });
  };
  if (runtime::KeptHandle* kept = runtime::kept(unit.handle.get()))
    kept->on_trouble = [this, present, service] {
      Unit* u = present();
      if (u == nullptr || u->handle == nullptr) return;
      u->trouble = runtime::trouble_of(u->handle.get());
      observer_.changed(service);
    };
  unit.handle->listen(loop_, std::move(events));
}

void Supervisor::ended(const std::string& service, Unit& unit, const runtime::ExitStatus& status) {
  const auto now = EventLoop::Clock::now();
  const project::Milliseconds uptime =
      unit.pid == 0 ? project::Milliseconds(0)
                    : std::chrono::duration_cast<project::Milliseconds>(now - unit.running_since);
  ExitInfo exit = exit_info(status);
  // That it ended so soon may surprise: an image's own command can be a shell.
  if (uptime < kAtOnce && exit.reason.empty() && unit.state.phase != Phase::stopping && unit.active)
    exit.reason = launcher_.command_note(request(unit), exit.success());
  unit.handle.reset();
  unit.trouble.clear();
  unit.pid = unit.shim_pid = 0;
  unit.content = {};
  unit.endpoint.reset();
  unit.dropped_bytes = status.dropped_bytes;
  unit.active.reset();
  const std::string instance = unit.instance, nonce = unit.nonce;
  ++unit.cleaning;
  apply(service,
        event::Exited{std::move(exit), uptime,
                      std::chrono::duration_cast<project::Milliseconds>(now.time_since_epoch())});
  // After what the end changed has been written down (the observer does that in a
  // post of its own): until then exit.json is the only record of it.
  loop_.post([this, alive = alive_, service, instance, nonce] {
    if (*alive) clean(service, instance, nonce);
  });
}

void Supervisor::clean(const std::string& service, const std::string& instance,
                       const std::string& nonce) {
  launcher_.clean(instance, nonce, [this, alive = alive_, service](Result<void> result) {
    if (!*alive) return;
    Unit* u = get(service);
    if (u == nullptr) return;
    --u->cleaning;
    if (!result) observer_.notice(service, "cleanup is incomplete: " + result.error().text());
    observer_.changed(service);
  });
}

void Supervisor::begin_health(const std::string& service, Unit& unit) {
  unit.monitor.reset();
  const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
  if (!config.health.any()) return;
  unit.health = Health::starting;
  const project::HealthConfig& h = config.health;
  std::unique_ptr<Prober> prober;
  if (h.kind == project::HealthSpec::Kind::http || h.kind == project::HealthSpec::Kind::tcp) {
    const int shim_pid = unit.shim_pid;
    const bool own_port = h.port == config.port;
    prober = make_net_prober(
        loop_, h.host, static_cast<std::uint16_t>(h.port),
        h.kind == project::HealthSpec::Kind::http ? h.path : "",
        [this, shim_pid](std::uint16_t port, std::function<void(Result<net::EndpointLook>)> done) {
          return launcher_.find_endpoint(shim_pid, port, std::move(done));
        },
        [this, service, shim_pid, own_port](const net::Endpoint& found) {
          if (own_port) set_endpoint(service, shim_pid, found);
        });
  } else {
    prober = launcher_.make_prober(request(unit));
  }
  if (prober == nullptr) return;
  unit.monitor = std::make_unique<HealthMonitor>(
      loop_, h, std::move(prober), unit.running_since,
      [this, service, life = unit.life](Health health, const std::string& reason) {
        Unit* u = get(service);
        if (u == nullptr || u->life != life) return;
        u->health = health;
        u->health_reason = reason;
        observer_.changed(service);
        check_dependents(service);
      });
}

void Supervisor::adopt(const std::string& service, std::unique_ptr<runtime::ServiceHandle> handle,
                       std::shared_ptr<const project::ServiceConfig> active, std::uint64_t life,
                       int restarts) {
  Unit* unit = get(service);
  if (unit == nullptr) return;
  unit->life = life;
  unit->state.history.restarts = restarts;
  unit->instance = handle->instance();
  unit->nonce = handle->nonce();
  unit->active = std::move(active);
  unit->handle = std::move(handle);
  unit->shim_pid = unit->handle->shim_pid();
  unit->trouble = runtime::trouble_of(unit->handle.get());
  // One that does not answer counts as running: that is all there is to see of it.
  apply(service, event::Adopted{/*running=*/!unit->trouble.empty()});
  listen(service, *unit);  // tells whether it runs already
}

void Supervisor::adopt_ended(const std::string& service, const std::string& instance,
                             const std::string& nonce, const runtime::ExitStatus& exit,
                             std::uint64_t life, int restarts) {
  Unit* unit = get(service);
  if (unit == nullptr) return;
  unit->life = life;
  unit->state.history.restarts = restarts;
  unit->instance = instance;
  unit->nonce = nonce;
  apply(service, event::Adopted{/*running=*/false});
  ended(service, *unit, exit);
}

}  // namespace locald::server
