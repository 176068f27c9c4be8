#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/supervise/restart_policy.h"

namespace locald::server {

/// The life of one service, as a pure function: no clocks, no processes, no I/O.
///
///              Start             DependenciesMet          Launched           Started
///     stopped --------> waiting ----------------> preparing --------> starting --------> running
///                          |                       ^  |                  |                 |
///         DependencyImpossible            TimerFired  LaunchFailed       Exited       Exited
///                          |                       |  |                  |                 |
///                          |                 backoff  +----------> the policy <------------+
///                          |                       ^                |  |  |
///                          |                       +---- once more -+  |  +- enough --> exited
///                          v                                           |
///                       failed <-- given up, or the command never ran -+
///
/// `Stop` leads from every state to stopped; where something runs, by way of stopping, until it has
/// Exited or the launch has ended. `Start` leads from exited and failed to waiting as well, and
/// from backoff to preparing. `Restart` is Stop with `again` set where something runs: from
/// stopping it goes to waiting, not to stopped; where nothing runs it leads to waiting. `Start`
/// while stopping sets `again` too, a further `Stop` takes it back. `Kill` is Stop that does not
/// wait. Exits while stopping are expected and are not failures. The policy (decide_restart) tries
/// a start that failed again only where its reason passes by itself. The supervisor numbers the
/// lives and drops the events of an earlier one (a late exit). `Adopted` enters at starting or
/// running: a new server found the process.
enum class Phase : std::uint8_t {
  stopped,
  waiting,
  preparing,
  starting,
  running,
  stopping,
  backoff,
  exited,
  failed
};
std::string_view to_string(
    Phase phase) noexcept;  ///< as `status` shows it: backoff is "crash-loop"

struct ServiceState {
  Phase phase = Phase::stopped;
  bool again = false;  ///< stopping only: start again afterwards
  RestartHistory history;
  std::optional<ExitInfo> exit;  ///< of the last process, until the next one runs or does not
  /// backoff: what failed is the start itself, for a reason that passes (a port in use, a registry
  /// that does not answer). waiting: for one that is held up so, again and again.
  bool held_up = false;
  std::string reason;      ///< what is waited for, or why it is as it is; may be empty
  bool inherited = false;  ///< failed: for a dependency, whose reason `reason` is

  /// Something of it runs, or may run.
  bool busy() const noexcept {
    return phase == Phase::preparing || phase == Phase::starting || phase == Phase::running ||
           phase == Phase::stopping;
  }
  /// Nothing runs and nothing will without a new Start.
  bool ended() const noexcept {
    return phase == Phase::stopped || phase == Phase::exited || phase == Phase::failed;
  }
};

namespace event {
struct Start {};
struct DependenciesWait {
  std::string reason;
  bool held_up = false;  ///< as in ServiceState
};
struct DependenciesMet {};
struct DependencyImpossible {
  std::string reason;
};
struct Launched {};
struct LaunchFailed {
  std::string reason;
  std::string hint = {};
  bool may_pass = false;         ///< then the policy decides as after an end
  project::Milliseconds now{0};  ///< as in Exited
};
struct Started {};
struct Exited {
  ExitInfo exit;
  project::Milliseconds uptime{0};  ///< since Started; 0 if it never was
  project::Milliseconds now{0};     ///< any clock that only goes forward
};
struct TimerFired {};
struct Stop {};
struct Kill {};
struct Restart {};
struct Adopted {
  bool running = true;
};
}  // namespace event
using Event = std::variant<event::Start, event::DependenciesWait, event::DependenciesMet,
                           event::DependencyImpossible, event::Launched, event::LaunchFailed,
                           event::Started, event::Exited, event::TimerFired, event::Stop,
                           event::Kill, event::Restart, event::Adopted>;

namespace action {
struct CheckDependencies {};
struct Launch {};
struct CancelLaunch {};
struct StopProcess {};  ///< signal, timeout, then the tree is killed
struct KillProcess {};
struct ArmTimer {
  project::Milliseconds delay;
};
struct CancelTimer {};
struct BeginHealth {};
struct EndHealth {};
}  // namespace action
using Action = std::variant<action::CheckDependencies, action::Launch, action::CancelLaunch,
                            action::StopProcess, action::KillProcess, action::ArmTimer,
                            action::CancelTimer, action::BeginHealth, action::EndHealth>;

struct Step {
  ServiceState next;
  std::vector<Action> actions;  ///< in this order
};

/// An event that means nothing in `state` changes nothing.
Step step(ServiceState state, const Event& event, const project::RestartSpec& policy);

}  // namespace locald::server
