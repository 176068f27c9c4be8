// The lives of a service: launched, listened to, ended, adopted.
#include <fmt/format.h>

#include <utility>

#include "base/strings.h"
#include "base/transient.h"
#include "project/units.h"
#include "server/supervise/net_prober.h"
#include "server/supervise/supervisor.h"

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

LaunchRequest Supervisor::request(const Unit& unit) const {
  LaunchRequest r = request_beside(unit.active, unit.user);
  r.instance = unit.instance;
  r.nonce = unit.nonce;
  r.life = unit.life;
  r.restarts = unit.state.history.restarts;
  r.built = unit.built;
  return r;
}

LaunchRequest Supervisor::request_beside(std::shared_ptr<const project::ServiceConfig> config,
                                         std::shared_ptr<const project::UserContext> user) const {
  LaunchRequest r;
  r.project = project_;
  r.dir = dir_;
  r.config = std::move(config);
  r.user = std::move(user);
  for (const auto& [name, other] : units_) {
    r.hosts.push_back(name);
    if (other.endpoint && other.endpoint->host != net::Endpoint().host)
      r.peers[name] = {other.shim_pid, other.endpoint->port, other.endpoint};
  }
  if (r.config)
    for (const project::LateText& late : r.config->late)
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
    own(service, *u, std::move(*result));
    apply(service, event::Launched{});
  };
  unit.launch = launcher_.launch(request(unit), std::move(events));
  unit.built = false;
}

/// The instance that the unit names: its events mean the unit as long as that is its present one.
runtime::Instance& Supervisor::begin(const std::string& service, Unit& unit) {
  const auto present = [this, service, id = unit.instance]() -> Unit* {
    Unit* u = get(service);
    return u != nullptr && u->instance == id ? u : nullptr;
  };
  runtime::Instance::Events events;
  events.started = [this, present, service](int pid) {
    Unit* u = present();
    if (u == nullptr) return;
    u->pid = pid;
    u->content = launcher_.content(request(*u));
    u->started_at = u->handle()->started_at();
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
  events.ended = [this, present, service](const runtime::ExitStatus& status) {
    if (Unit* u = present()) ended(service, *u, status);
  };
  events.gone = [this, service, id = unit.instance](const Result<void>& cleaned) {
    units_.at(service).instances.erase(id);
    if (!cleaned) observer_.notice(service, "cleanup is incomplete: " + cleaned.error().text());
    observer_.changed(service);
  };
  events.trouble = [this, present, service] {
    Unit* u = present();
    if (u == nullptr) return;
    u->trouble = u->handle()->trouble();
    observer_.changed(service);
  };
  const auto clean = [this](const std::string& id, const std::string& nonce,
                            std::function<void(Result<void>)> done) {
    launcher_.clean(id, nonce, std::move(done));
  };
  return unit.instances[unit.instance] =
             runtime::Instance(loop_, unit.instance, unit.nonce, clean, std::move(events));
}

void Supervisor::own(const std::string& service, Unit& unit,
                     std::unique_ptr<runtime::ServiceHandle> handle) {
  unit.shim_pid = handle->shim_pid();
  unit.trouble = handle->trouble();
  launcher_.runs(unit.shim_pid, unit.instance, project_ + "/" + service);
  begin(service, unit).own(std::move(handle));
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
  unit.trouble.clear();
  unit.pid = unit.shim_pid = 0;
  unit.content = {};
  unit.endpoint.reset();
  unit.sockets.clear();
  unit.dropped_bytes = status.dropped_bytes;
  unit.active.reset();
  apply(service,
        event::Exited{std::move(exit), uptime,
                      std::chrono::duration_cast<project::Milliseconds>(now.time_since_epoch())});
}

void Supervisor::begin_health(const std::string& service, Unit& unit) {
  unit.monitor.reset();
  const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
  if (!config.health.any()) return;
  unit.health = Health::starting;
  const project::HealthConfig& h = config.health;
  std::unique_ptr<Prober> prober;
  if (config.network == "host" &&
      (h.kind == project::HealthSpec::Kind::http || h.kind == project::HealthSpec::Kind::tcp)) {
    const int shim_pid = unit.shim_pid;
    const bool own_port = h.port == config.port;
    prober = make_net_prober(
        loop_, launcher_.network(), h.host, static_cast<std::uint16_t>(h.port),
        h.kind == project::HealthSpec::Kind::http ? h.path : "",
        [this, shim_pid](std::uint16_t port, std::function<void(Result<net::EndpointLook>)> done) {
          return launcher_.find_endpoint(shim_pid, port, std::move(done));
        },
        [this, service, shim_pid, own_port](const net::Endpoint& found, std::set<ino_t> sockets) {
          if (own_port) set_endpoint(service, shim_pid, found, std::move(sockets));
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
  own(service, *unit, std::move(handle));  // tells whether it runs already
  // One that does not answer counts as running: that is all there is to see of it.
  apply(service, event::Adopted{/*running=*/!unit->trouble.empty()});
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
  begin(service, *unit).end(exit);
}

}  // namespace locald::server
