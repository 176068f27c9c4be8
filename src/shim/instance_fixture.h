#pragma once
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <ostream>
#include <string>

#include "shim/instance_state.h"

namespace locald::shim {

inline void PrintTo(Phase phase, std::ostream* out) {
  static const char* const names[] = {"starting", "running",  "ending", "killing",
                                      "killed",   "draining", "done"};
  *out << names[static_cast<int>(phase)];
}

/// One instance with a made-up clock and a made-up tree of processes. Actions are carried out as a
/// session would, and kept as text in `said`.
struct Life {
  // What the world is like; tests set it.
  bool kill_pending = false;  ///< as an exec session's kill: the end comes later
  bool unkillable = false;    ///< kill_tree gives up after its limit
  int others = 0;             ///< processes beside the main one
  int heard = 0;              ///< of them, those that a signal reaches
  bool deaf = false;          ///< no signal reaches the main process

  InstanceState state;
  std::int64_t now = 1000;
  bool main_alive = false;
  int kills = 0, signals = 0, reports = 0;
  bool proven = false;  ///< nothing is left, or why something is was recorded
  std::string said;

  explicit Life(Rest rest, bool hold = false) {
    state.rest = rest;
    state.hold = hold;
  }

  template <typename Event>
  void feed(const Event& event) {
    apply(step(state, event));
  }

  void apply(const Step& step) {
    state = step.state;
    for (int i = 0; i < step.count; ++i) {
      const Action& action = step.actions[i];
      const bool answered = action.type == Action::Type::signal_tree ||
                            action.type == Action::Type::signal_main ||
                            action.type == Action::Type::kill_tree;
      EXPECT_TRUE(!answered || i == step.count - 1) << "an action that is answered is the last";
      perform(action);
    }
  }

  void perform(const Action& action) {
    static const char* const names[] = {"announce",  "signal",  "ask",        "kill",
                                        "unstarted", "unknown", "unkillable", "report"};
    if (!said.empty()) said += ' ';
    said += names[static_cast<int>(action.type)];
    if (action.number != 0) said += ':' + std::to_string(action.number);
    if (action.type == Action::Type::signal_tree) {
      feed(event::TreeAsked{heard});
    } else if (action.type == Action::Type::signal_main) {
      EXPECT_TRUE(state.hears && !state.main_over) << "nobody hears a signal";
      ++signals;
      if (deaf) feed(event::Deaf{heard});
    } else if (action.type == Action::Type::kill_tree) {
      EXPECT_EQ(state.phase, Phase::killing);
      ++kills;
      kill();
    } else if (action.type == Action::Type::record_unkillable) {
      proven = true;
    } else if (action.type == Action::Type::report) {
      ++reports;
    }
  }

  void kill() {
    if (kill_pending && main_alive) return feed(event::Killed{now, true});
    if (unkillable) {
      now += kKillLimitMs;
    } else {
      others = 0;
      if (main_alive) end();
    }
    proven = true;
    feed(event::Killed{now});
  }

  void spawn() {
    main_alive = true;
    feed(event::Spawned{});
  }
  void run() {
    spawn();
    feed(event::Executed{});
  }
  void end(bool never_executed = false) {
    main_alive = false;
    if (state.rest == Rest::left) proven = true;
    feed(event::MainEnded{now, never_executed});
  }
  void stop(std::uint32_t timeout_ms, int signal = SIGTERM) {
    feed(event::Stop{signal, timeout_ms, now});
  }
  void pass(std::int64_t ms) {
    now += ms;
    feed(event::Timer{now});
  }
  void drained() { feed(event::Drained{}); }
};

}  // namespace locald::shim
