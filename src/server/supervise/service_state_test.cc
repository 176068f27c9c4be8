#include "server/supervise/service_state.h"

#include <gtest/gtest.h>

#include <set>

namespace locald::server {
namespace {

constexpr Phase kAll[] = {Phase::stopped,  Phase::waiting, Phase::preparing,
                          Phase::starting, Phase::running, Phase::stopping,
                          Phase::backoff,  Phase::exited,  Phase::failed};

ServiceState in(Phase phase) {
  ServiceState s;
  s.phase = phase;
  return s;
}

template <typename A>
bool has(const Step& s) {
  for (const Action& a : s.actions)
    if (std::holds_alternative<A>(a)) return true;
  return false;
}

Step after(Phase phase, const Event& e, const project::RestartSpec& policy = {}) {
  return step(in(phase), e, policy);
}

event::Exited exited(int code, project::Milliseconds uptime = project::Milliseconds(0),
                     project::Milliseconds now = project::Milliseconds(0)) {
  event::Exited e;
  e.exit.code = code;
  e.uptime = uptime;
  e.now = now;
  return e;
}

TEST(ServiceState, GoesFromStoppedToRunningStepByStep) {
  Step s = after(Phase::stopped, event::Start{});
  EXPECT_EQ(s.next.phase, Phase::waiting);
  EXPECT_TRUE(has<action::CheckDependencies>(s));
  s = step(s.next, event::DependenciesMet{}, {});
  EXPECT_EQ(s.next.phase, Phase::preparing);
  EXPECT_TRUE(has<action::Launch>(s));
  s = step(s.next, event::Launched{}, {});
  EXPECT_EQ(s.next.phase, Phase::starting);
  s = step(s.next, event::Started{}, {});
  EXPECT_EQ(s.next.phase, Phase::running);
  EXPECT_TRUE(has<action::BeginHealth>(s));
}

TEST(ServiceState, StopIsAcceptedInEveryStateAndStopsWhateverThereIs) {
  for (const Phase p : kAll) {
    const Step s = after(p, event::Stop{});
    const bool busy = in(p).busy();
    EXPECT_EQ(s.next.phase, busy ? Phase::stopping : Phase::stopped) << to_string(p);
    EXPECT_EQ(has<action::StopProcess>(s), p == Phase::starting || p == Phase::running)
        << to_string(p);
    EXPECT_EQ(has<action::CancelLaunch>(s), p == Phase::preparing) << to_string(p);
    EXPECT_EQ(has<action::CancelTimer>(s), p == Phase::backoff) << to_string(p);
    EXPECT_EQ(has<action::EndHealth>(s), p == Phase::running) << to_string(p);
  }
}

TEST(ServiceState, KillDoesNotWaitNotEvenWhileStopping) {
  for (const Phase p : {Phase::starting, Phase::running, Phase::stopping}) {
    const Step s = after(p, event::Kill{});
    EXPECT_EQ(s.next.phase, Phase::stopping);
    EXPECT_TRUE(has<action::KillProcess>(s)) << to_string(p);
  }
}

TEST(ServiceState, AnExitWhileStoppingIsNoFailureAndKeepsItsStatus) {
  Step s = step(in(Phase::stopping), exited(1), {.mode = project::RestartMode::always});
  EXPECT_EQ(s.next.phase, Phase::stopped);
  EXPECT_EQ(s.next.exit->code, 1);
  EXPECT_FALSE(has<action::ArmTimer>(s));
}

TEST(ServiceState, ALaunchThatEndsAfterStopIsStoppedLikeAnyOther) {
  Step s = after(Phase::preparing, event::Stop{});
  s = step(s.next, event::Launched{}, {});
  EXPECT_EQ(s.next.phase, Phase::stopping);
  EXPECT_TRUE(has<action::StopProcess>(s));
  Step t = after(Phase::preparing, event::Stop{});
  t = step(t.next, event::LaunchFailed{"cancelled"}, {});
  EXPECT_EQ(t.next.phase, Phase::stopped);
}

TEST(ServiceState, RestartIsAStopThatStartsAgain) {
  Step s = after(Phase::running, event::Restart{});
  EXPECT_EQ(s.next.phase, Phase::stopping);
  EXPECT_TRUE(has<action::StopProcess>(s));
  s = step(s.next, exited(0), {});
  EXPECT_EQ(s.next.phase, Phase::waiting);
  EXPECT_TRUE(has<action::CheckDependencies>(s));
  for (const Phase p : {Phase::stopped, Phase::exited, Phase::failed, Phase::backoff})
    EXPECT_EQ(after(p, event::Restart{}).next.phase, Phase::waiting) << to_string(p);
}

TEST(ServiceState, AStopAfterARestartTakesTheStartBack) {
  Step s = after(Phase::running, event::Restart{});
  s = step(s.next, event::Stop{}, {});
  s = step(s.next, exited(0), {});
  EXPECT_EQ(s.next.phase, Phase::stopped);
}

TEST(ServiceState, AStartWhileStoppingStartsAgainAfterwards) {
  Step s = after(Phase::stopping, event::Start{});
  EXPECT_EQ(s.next.phase, Phase::stopping);
  s = step(s.next, exited(0), {});
  EXPECT_EQ(s.next.phase, Phase::waiting);
}

TEST(ServiceState, ASecondStartChangesNothing) {
  for (const Phase p : {Phase::waiting, Phase::preparing, Phase::starting, Phase::running}) {
    const Step s = after(p, event::Start{});
    EXPECT_EQ(s.next.phase, p);
    EXPECT_TRUE(s.actions.empty());
  }
}

TEST(ServiceState, APolicyOfNoLeavesAnEndAnEnd) {
  for (const int code : {0, 3}) {
    const Step s = after(Phase::running, exited(code));
    EXPECT_EQ(s.next.phase, Phase::exited);
    EXPECT_EQ(s.next.exit->code, code);
    EXPECT_EQ(s.next.reason, code == 0 ? "" : "exited with code 3");
  }
}

TEST(ServiceState, OnFailureRestartsFailuresAndSignalsOnly) {
  const project::RestartSpec policy{.mode = project::RestartMode::on_failure};
  EXPECT_EQ(after(Phase::running, exited(0), policy).next.phase, Phase::exited);
  EXPECT_EQ(after(Phase::running, exited(1), policy).next.phase, Phase::backoff);
  event::Exited killed;
  killed.exit.signal = 11;
  const Step s = after(Phase::running, killed, policy);
  EXPECT_EQ(s.next.phase, Phase::backoff);
  EXPECT_NE(s.next.reason.find("was ended by SIGSEGV"), std::string::npos) << s.next.reason;
  EXPECT_EQ(after(Phase::running, event::Exited{}, policy).next.phase, Phase::backoff)
      << "an unknown end is a failure";
}

TEST(ServiceState, BackOffDoublesFromAHundredMillisecondsToAMinute) {
  const project::RestartSpec policy{.mode = project::RestartMode::always};
  ServiceState s = in(Phase::running);
  std::vector<std::int64_t> delays;
  for (int i = 0; i < 12; ++i) {
    Step t = step(s, exited(1), policy);
    for (const Action& a : t.actions)
      if (const auto* arm = std::get_if<action::ArmTimer>(&a)) delays.push_back(arm->delay.count());
    t = step(t.next, event::TimerFired{}, policy);
    EXPECT_EQ(t.next.phase, Phase::preparing);
    EXPECT_EQ(t.next.history.restarts, i + 1);
    s = t.next;
    s.phase = Phase::running;
  }
  EXPECT_EQ(delays, (std::vector<std::int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600,
                                               51200, 60000, 60000}));
}

TEST(ServiceState, AGoodRunMakesTheNextBackOffShortAgain) {
  const project::RestartSpec policy{.mode = project::RestartMode::always};
  ServiceState s = in(Phase::running);
  s.history.failures = 8;
  const Step t = step(s, exited(1, kGoodRun), policy);
  EXPECT_EQ(std::get<action::ArmTimer>(t.actions.back()).delay, kFirstDelay);
}

TEST(ServiceState, MaxGivesUpAndSaysSo) {
  const project::RestartSpec policy{.mode = project::RestartMode::on_failure, .max = 2};
  ServiceState s = in(Phase::running);
  for (int i = 0; i < 2; ++i) {
    s = step(s, exited(7), policy).next;
    ASSERT_EQ(s.phase, Phase::backoff);
    s = step(s, event::TimerFired{}, policy).next;
    s.phase = Phase::running;
  }
  s = step(s, exited(7), policy).next;
  EXPECT_EQ(s.phase, Phase::failed);
  EXPECT_EQ(s.reason, "exited with code 7; given up after 2 restarts");
}

TEST(ServiceState, AWindowForgetsOldRestarts) {
  const project::RestartSpec policy{
      .mode = project::RestartMode::always, .max = 2, .window = project::Milliseconds(1000)};
  ServiceState s = in(Phase::running);
  const auto end_at = [&](std::int64_t now) {
    s = step(s, exited(1, project::Milliseconds(0), project::Milliseconds(now)), policy).next;
    const Phase p = s.phase;
    s.phase = Phase::running;
    return p;
  };
  EXPECT_EQ(end_at(0), Phase::backoff);
  EXPECT_EQ(end_at(500), Phase::backoff);
  EXPECT_EQ(end_at(1200), Phase::backoff) << "the first one is out of the window";
  EXPECT_EQ(end_at(1300), Phase::failed);
}

TEST(ServiceState, WhatNeverRanIsNotTriedAgain) {
  event::Exited e = exited(127);
  e.exit.never_ran = true;
  e.exit.reason = "/no/such: No such file or directory";
  const Step s = after(Phase::starting, e, {.mode = project::RestartMode::always});
  EXPECT_EQ(s.next.phase, Phase::failed);
  EXPECT_EQ(s.next.exit->code, 127);
  EXPECT_NE(s.next.reason.find("/no/such"), std::string::npos);
  e.exit.reason = "./run: cannot be executed: Permission denied";
  EXPECT_NE(after(Phase::starting, e).next.reason.find("\n  hint: make it executable: chmod +x"),
            std::string::npos);
}

TEST(ServiceState, AStartThatFailsHasNoExitOfTheLifeBefore) {
  ServiceState s = in(Phase::preparing);
  s.exit = ExitInfo{.code = 3, .signal = {}, .reason = {}};
  EXPECT_FALSE(step(s, event::LaunchFailed{"no such image"}, {}).next.exit);
  s.phase = Phase::waiting;
  EXPECT_FALSE(step(s, event::DependencyImpossible{"db failed"}, {}).next.exit);
}

TEST(ServiceState, AStartThatFailsIsNeverMoreThanTenSecondsAway) {
  const project::RestartSpec always{.mode = project::RestartMode::always};
  const event::LaunchFailed passing{"port 80 is in use", "stop it", /*may_pass=*/true, {}};
  ServiceState s = in(Phase::preparing);
  project::Milliseconds before{0};
  for (int i = 0; i < 12; ++i) {
    const Step t = step(s, passing, always);
    before = std::get<action::ArmTimer>(t.actions.back()).delay;
    s = step(t.next, event::TimerFired{}, always).next;
  }
  EXPECT_EQ(before, project::Milliseconds(10000));
}

TEST(ServiceState, AStartThatFailsForAReasonThatPassesGoesThroughTheBackOff) {
  const project::RestartSpec always{.mode = project::RestartMode::always};
  const event::LaunchFailed passing{"port 80 is in use", "stop it", /*may_pass=*/true, {}};
  ServiceState s = in(Phase::preparing);
  for (const char* delay : {"100 ms", "200 ms", "400 ms"}) {
    const Step t = step(s, passing, always);
    EXPECT_EQ(t.next.phase, Phase::backoff);
    EXPECT_TRUE(t.next.held_up);
    EXPECT_EQ(t.next.reason,
              std::string("port 80 is in use; next try after ") + delay + "\n  hint: stop it");
    EXPECT_TRUE(has<action::ArmTimer>(t));
    s = step(t.next, event::TimerFired{}, always).next;
    EXPECT_EQ(s.phase, Phase::preparing);
    EXPECT_EQ(s.history.restarts, 0) << "it is still the same start";
    EXPECT_FALSE(s.held_up);
  }
  s = step(s, event::LaunchFailed{"no such image", "", false, {}}, always).next;
  EXPECT_EQ(s.phase, Phase::failed);
  EXPECT_EQ(s.reason, "no such image");
}

TEST(ServiceState, AStartThatFailsEndsThereWithoutAPolicyAndAtItsMaximum) {
  const event::LaunchFailed passing{"disk full", "make room", /*may_pass=*/true, {}};
  EXPECT_EQ(after(Phase::preparing, passing).next.phase, Phase::failed);
  EXPECT_EQ(after(Phase::preparing, passing).next.reason, "disk full\n  hint: make room");
  const project::RestartSpec twice{.mode = project::RestartMode::on_failure, .max = 2};
  ServiceState s = in(Phase::preparing);
  for (int i = 0; i < 2; ++i) {
    s = step(s, passing, twice).next;
    ASSERT_EQ(s.phase, Phase::backoff);
    s = step(s, event::TimerFired{}, twice).next;
  }
  s = step(s, passing, twice).next;
  EXPECT_EQ(s.phase, Phase::failed);
  EXPECT_EQ(s.reason, "disk full; given up after 3 tries\n  hint: make room");
}

TEST(ServiceState, AProcessThatCouldNotBeMadeForWantOfMemoryIsTriedAgain) {
  event::Exited e = exited(125);
  e.exit.never_ran = e.exit.may_pass = true;
  e.exit.reason = "no process could be made: Cannot allocate memory";
  const project::RestartSpec always{.mode = project::RestartMode::always};
  const Step s = after(Phase::starting, e, always);
  EXPECT_EQ(s.next.phase, Phase::backoff);
  EXPECT_TRUE(s.next.held_up);
  EXPECT_EQ(after(Phase::starting, e).next.phase, Phase::failed);
}

TEST(ServiceState, AnImpossibleDependencyFailsWithItsReason) {
  const Step s = after(Phase::waiting, event::DependencyImpossible{"db failed: no image"});
  EXPECT_EQ(s.next.phase, Phase::failed);
  EXPECT_EQ(s.next.reason, "db failed: no image");
}

TEST(ServiceState, LateEventsOfOtherStatesChangeNothing) {
  for (const Phase p : kAll) {
    if (p != Phase::backoff) {
      EXPECT_EQ(after(p, event::TimerFired{}).next.phase, p);
    }
    if (p != Phase::waiting) {
      EXPECT_EQ(after(p, event::DependenciesMet{}).next.phase, p);
      EXPECT_EQ(after(p, event::DependencyImpossible{"x"}).next.phase, p);
    }
    if (p != Phase::starting) {
      EXPECT_EQ(after(p, event::Started{}).next.phase, p);
    }
    if (!in(p).busy()) {
      EXPECT_EQ(after(p, exited(1)).next.phase, p);
    }
  }
}

TEST(ServiceState, EveryPhaseHasItsWordOfTheDesign) {
  std::set<std::string_view> words;
  for (const Phase p : kAll) words.insert(to_string(p));
  EXPECT_EQ(words,
            (std::set<std::string_view>{"stopped", "waiting", "preparing", "starting", "running",
                                        "stopping", "exited", "failed", "crash-loop"}));
}

}  // namespace
}  // namespace locald::server
