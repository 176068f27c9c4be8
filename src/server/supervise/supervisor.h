#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "project/service_config.h"
#include "project/service_graph.h"
#include "runtime/instance.h"
#include "server/supervise/edge_state.h"
#include "server/supervise/health.h"
#include "server/supervise/launcher.h"
#include "server/supervise/service_state.h"

namespace locald::server {

/// Drives the services of one project: feeds the pure state machine
/// (service_state.h) with what launcher, timers and health checks report, and
/// does what it asks for. Order comes from dependencies alone: what does not
/// wait for each other starts, and stops, at the same time. Loop thread only.
class Supervisor {
 public:
  struct Unit {
    std::shared_ptr<const project::ServiceConfig> config;  ///< what the next start uses
    std::shared_ptr<const project::UserContext> user;
    ServiceState state;
    Health health = Health::none;
    std::string health_reason;  ///< why the last probe failed
    std::uint64_t life = 0;
    std::string instance, nonce;                         ///< of the present or last life
    int pid = 0, shim_pid = 0;                           ///< 0: none
    std::chrono::system_clock::time_point started_at{};  ///< meaningful while pid != 0
    std::uint64_t dropped_bytes = 0;
    std::uint64_t first_segment = 0;  ///< of the log of the project's present run

    /// What it runs on now, if it runs: config may be newer already.
    std::shared_ptr<const project::ServiceConfig> active;
    Json content;                           ///< Launcher::content() of that
    std::optional<net::Endpoint> endpoint;  ///< where it has been found to listen on its port
    std::set<ino_t> sockets;                ///< its own, which listen there
    std::string trouble;                    ///< ServiceHandle::trouble() of what runs

    /// Where it is to run and something of an earlier life is there still: the last such life.
    std::optional<std::uint64_t> due_after() const;

   private:
    friend class Supervisor;
    runtime::ServiceHandle* handle() const;
    /// The present one, and those of earlier lives that are being cleaned up; by id.
    std::map<std::string, runtime::Instance> instances;
    std::unique_ptr<HealthMonitor> monitor;
    EventLoop::Handle timer;
    EventLoop::Clock::time_point running_since{};
    JobPool::Job launch;
    bool stop_wanted = false;  // waits for its dependents to end first
    bool kill_wanted = false;
    bool built = false;  // LaunchRequest::built of the next start
  };

  struct Observer {
    std::function<void(const std::string& service)>
        changed;  ///< after any change of a unit, also its removal
    std::function<void(const std::string& service, const ipc::ProgressEvent& progress)> progress;
    std::function<void(const std::string& service, const std::string& text)> notice;
    std::function<void(const std::string& service)> running;  ///< each time it has come to run
  };

  /// @param dir  of the project, absolute.
  Supervisor(EventLoop& loop, Launcher& launcher, std::string project, std::string dir,
             Observer observer);
  ~Supervisor();  ///< leaves every process running

  const std::map<std::string, Unit>& units() const noexcept { return units_; }
  const Unit* find(const std::string& service) const;

  /// Adds the service (stopped), or gives it a new configuration for its next start.
  void define(const std::string& service, std::shared_ptr<const project::ServiceConfig> config,
              std::shared_ptr<const project::UserContext> user, std::uint64_t first_segment);
  /// Forgets a service of which nothing runs (quiet()).
  void remove(const std::string& service);

  /// The app of each was built a moment ago: its next start takes that build, and does not look at
  /// the source again. Forgotten where something else comes first: stop(), define().
  void note_built(const std::set<std::string>& services);
  /// Wants the services up; dependencies are the caller's business.
  void start(const std::set<std::string>& services);
  void restart(const std::set<std::string>& services);
  /// Stops them, dependents before what they depend on; `kill` does not wait, neither for them nor
  /// for the order.
  void stop(const std::set<std::string>& services, bool kill = false);

  /// Nothing of it runs and nothing is being cleaned up.
  bool quiet(const std::string& service) const;

  /// A process that an earlier server started.
  void adopt(const std::string& service, std::unique_ptr<runtime::ServiceHandle> handle,
             std::shared_ptr<const project::ServiceConfig> active, std::uint64_t life,
             int restarts);
  /// One that ended while no server was there.
  void adopt_ended(const std::string& service, const std::string& instance,
                   const std::string& nonce, const runtime::ExitStatus& exit, std::uint64_t life,
                   int restarts);

  /// Makes again what the run folder has to hold of all that runs.
  void write_back();

  /// A state that was written down: an end, with the counts of restarts. Nothing runs.
  void restore(const std::string& service, ServiceState state, std::uint64_t life);

  /// The service, in the life of that shim, has been found to listen there, with these sockets.
  void set_endpoint(const std::string& service, int shim_pid, const net::Endpoint& endpoint,
                    std::set<ino_t> sockets);

  /// Why the last probe failed, or could not be made; empty when it did not.
  std::string probe_failure(const std::string& service) const;

  /// A start beside the services, of `config`, with what a service would know of the others. It has
  /// no instance yet.
  LaunchRequest request_beside(std::shared_ptr<const project::ServiceConfig> config,
                               std::shared_ptr<const project::UserContext> user) const;

  /// Where a client attaches; null where nothing runs.
  runtime::ServiceHandle* handle(const std::string& service);

 private:
  Unit* get(const std::string& service);
  void apply(const std::string& service, const Event& event);
  void perform(const std::string& service, Unit& unit, const Action& action);
  void check_dependencies(const std::string& service);
  void check_dependents(const std::string& service);
  void check_stops();
  LaunchRequest request(const Unit& unit) const;
  void launch(const std::string& service, Unit& unit);
  runtime::Instance& begin(const std::string& service, Unit& unit);
  void own(const std::string& service, Unit& unit, std::unique_ptr<runtime::ServiceHandle> handle);
  void begin_health(const std::string& service, Unit& unit);
  void ended(const std::string& service, Unit& unit, const runtime::ExitStatus& status);

  EventLoop& loop_;
  Launcher& launcher_;
  std::string project_, dir_;
  Observer observer_;
  std::map<std::string, Unit> units_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // for callbacks that may come after us
};

}  // namespace locald::server
