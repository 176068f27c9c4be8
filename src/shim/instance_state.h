#pragma once
#include <cstdint>

namespace locald::shim {

/// The life of one instance, as a pure function: no clock, no system call, no memory but its
/// arguments. Events come in, with the time where it counts; actions go out. session.h is the only
/// caller, in one thread, and carries the actions out.
///
///                Spawned            MainEnded in the time of a stop
///     starting -----------> running -------------------------------> ending
///      |    |                |   |                                     |
///      |    |  Stop 0, Timer |   | MainEnded, the rest is left         | TreeEmpty, Timer, Stop 0,
///      |    |  MainEnded     |   +-----------------------+             | or there is nobody to ask
///      |    |                v                           |             |
///      |    +------------> killing <---------------------|-------------+
///      |    Stop 0, Timer    |  |   Killed               v    Drained
///      |                     |  +------------------> draining ---------> done
///      |     Killed: pending |                        ^  ^                ^
///      |                     v    MainEnded, Timer    |  |                |
///      |                   killed --------------------+  |                |
///      |                                                 |                |
///      +-- Failed, and somebody is still to attach ------+                |
///      +-- Failed --------------------------------------------------------+
///
/// An instance has ended when its main process has. `Rest` says how the rest of the tree is
/// treated. A `Stop` with time signals the main process and sets the deadline at which all is
/// killed; before the command runs nobody would hear the signal, and it is sent when it does. Where
/// the main process cannot hear it (Deaf) those below it are asked in its place: once they have
/// ended it has kLastWordsMs, and no time where there are none.
/// `Stop 0` has no time. Each further `Stop` replaces signal and deadline, and leads from killed
/// back to running or, with no time, to one more attempt to kill. Stops in draining and done mean
/// nothing.
///
/// The way to done leads through the proof that the tree is empty: every end of a host process or
/// container goes by way of killing, also where nothing seems to be left. The only ends without
/// that proof: a kill that was refused or lasted its limit, and processes that an exec session
/// leaves.
///
/// In draining the pipes are emptied. With `hold` the output belongs to the first client that
/// attaches (OutputTaken), for which an instance that has ended waits kHoldLimitMs.
enum class Phase : std::uint8_t {
  starting,  ///< there is no main process yet
  running,
  ending,    ///< the main process has ended; the rest was asked to, and has the time of the stop
  killing,   ///< only while kill_tree is carried out
  killed,    ///< the main process was killed, and its end has not come yet
  draining,  ///< the end is known, and the output so far is on its way
  done       ///< reported; nothing follows
};

/// How the rest of the tree is treated when the main process has ended.
enum class Rest : std::uint8_t {
  asked,   ///< killed; during a stop it gets the same signal first, and what is left of the time
  killed,  ///< killed at once
  left     ///< left alone: it belongs to another instance
};

/// For the proof that nothing is left, and for the end of a main process that was killed: ms.
inline constexpr std::int64_t kKillLimitMs = 10'000;
/// For the first client of an instance that has ended already: ms.
inline constexpr std::int64_t kHoldLimitMs = 10'000;
/// For a main process that hears no signal, after those below it have ended: ms.
inline constexpr std::int64_t kLastWordsMs = 250;

struct InstanceState {
  Rest rest = Rest::killed;
  bool hold = false;  ///< the output waits for its first client
  Phase phase = Phase::starting;
  bool spawned = false;    ///< there is, or was, a main process
  bool hears = false;      ///< the main process is past its start: it may be signalled
  bool main_over = false;  ///< and its end, or that it is unknown, is recorded
  bool never_ran = false;  ///< the command was not executed
  bool stopping = false;   ///< a Stop has come
  int stop_signal = 0;     ///< of the last Stop
  /// When a Timer is due, on the clock of the events, in ms; 0: never.
  std::int64_t deadline_ms = 0;

  bool operator==(const InstanceState&) const = default;
};

namespace event {
/// The main process could not be made.
struct Failed {
  std::int64_t now_ms;
};
struct Spawned {};
/// The main process has become the command.
struct Executed {};
/// It has said that it cannot; its end follows.
struct NotExecuted {};
/// The main process was reaped, and its status recorded.
struct MainEnded {
  std::int64_t now_ms;
  bool never_executed = false;  ///< it had not become the command
};
struct Stop {
  int signal;
  std::uint32_t timeout_ms;  ///< 0: kill at once
  std::int64_t now_ms;
};
/// The answer to signal_main where the kernel drops that signal: PID 1 of a pid namespace gets none
/// that it has no handler for (pid_namespaces(7)). Waiting would be in vain.
struct Deaf {
  int asked;  ///< processes below it that were signalled in its place
};
/// All those have ended.
struct AskedEnded {
  std::int64_t now_ms;
};
/// Some time has passed; means nothing before the deadline.
struct Timer {
  std::int64_t now_ms;
};
/// The answer to signal_tree.
struct TreeAsked {
  int processes;  ///< that were signalled
};
/// There seems to be no process left.
struct TreeEmpty {};
/// The answer to kill_tree: nothing is left, or the reason why something is was recorded.
struct Killed {
  std::int64_t now_ms;
  bool pending = false;  ///< the main process is killed, and MainEnded will come for it
};
/// The first client has attached.
struct OutputTaken {};
/// All output that was in the pipes after draining began is delivered.
struct Drained {};
}  // namespace event

struct Action {
  enum class Type : std::uint8_t {
    announce,           ///< say `started`
    signal_main,        ///< `number` to the main process; answered by Deaf where that is in vain
    signal_tree,        ///< `number` to all processes left; answered by TreeAsked
    kill_tree,          ///< SIGKILL to all, until nothing is left; answered by Killed
    record_unstarted,   ///< exit status: stopped before there was a main process
    record_unknown,     ///< exit status: unknown
    record_unkillable,  ///< reason: the main process was killed and is still there
    report              ///< write exit.json and say how it ended; once in a life, the last action
  };
  Type type;
  int number = 0;
};

struct Step {
  static constexpr int kMost = 2;
  InstanceState state;
  Action actions[kMost] = {};  ///< in this order; one that is answered is the last
  int count = 0;
};

/// An event that means nothing in `state` changes nothing.
Step step(const InstanceState& state, const event::Failed& event);
Step step(const InstanceState& state, const event::Spawned& event);
Step step(const InstanceState& state, const event::Executed& event);
Step step(const InstanceState& state, const event::NotExecuted& event);
Step step(const InstanceState& state, const event::MainEnded& event);
Step step(const InstanceState& state, const event::Stop& event);
Step step(const InstanceState& state, const event::Deaf& event);
Step step(const InstanceState& state, const event::AskedEnded& event);
Step step(const InstanceState& state, const event::Timer& event);
Step step(const InstanceState& state, const event::TreeAsked& event);
Step step(const InstanceState& state, const event::TreeEmpty& event);
Step step(const InstanceState& state, const event::Killed& event);
Step step(const InstanceState& state, const event::OutputTaken& event);
Step step(const InstanceState& state, const event::Drained& event);

}  // namespace locald::shim
