#include "server/supervise/supervisor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

class SupervisorTest : public testing::Test {
 protected:
  EventLoop loop;
  FakeLauncher launcher{loop};
  std::vector<std::string> notices;
  Supervisor supervisor{
      loop,
      launcher,
      "shop",
      "/shop",
      {[](const std::string&) {}, [](const std::string&, const ipc::ProgressEvent&) {},
       [this](const std::string& s, const std::string& text) {
         notices.push_back(s + ": " + text);
       },
       [](const std::string&) {}}};

  project::ServiceConfig config(const std::string& name,
                                std::vector<project::DependencyConfig> needs = {}) {
    project::ServiceConfig c;
    c.name = name;
    c.argv = {"true"};
    c.cwd = "/";
    c.depends_on = std::move(needs);
    return c;
  }
  void define(const project::ServiceConfig& c) {
    supervisor.define(c.name, std::make_shared<project::ServiceConfig>(c),
                      std::make_shared<project::UserContext>(), 1);
  }
  void with_check(project::ServiceConfig c) {
    c.health.kind = project::HealthSpec::Kind::exec;
    c.health.argv = {"check"};
    define(c);
  }
  Phase phase(const std::string& name) { return supervisor.find(name)->state.phase; }
  const std::string& reason(const std::string& name) { return supervisor.find(name)->state.reason; }
  std::size_t position(const std::string& what) {
    return static_cast<std::size_t>(std::find(launcher.log.begin(), launcher.log.end(), what) -
                                    launcher.log.begin());
  }
};

using C = project::DependsCondition;

TEST_F(SupervisorTest, ServicesThatNeedNobodyStartAtOnceAndTogether) {
  launcher.obedient = false;
  for (const char* name : {"a", "b", "c"}) define(config(name));
  supervisor.start({"a", "b", "c"});
  EXPECT_EQ(launcher.log, (std::vector<std::string>{"launch a", "launch b", "launch c"}));
}

TEST_F(SupervisorTest, ADependentWaitsAndSaysForWhom) {
  launcher.obedient = false;
  define(config("db"));
  define(config("web", {{"db", C::started}}));
  supervisor.start({"db", "web"});
  run_for(loop);
  EXPECT_EQ(phase("web"), Phase::waiting);
  EXPECT_EQ(reason("web"), "waits for db to start");
  launcher.run("db");
  run_for(loop);
  EXPECT_EQ(launcher.launches("web"), 1);
}

TEST_F(SupervisorTest, HealthyMeansTheCheckHasPassed) {
  with_check(config("db"));
  define(config("web", {{"db", C::healthy}}));
  supervisor.start({"db", "web"});
  run_for(loop);
  EXPECT_EQ(phase("db"), Phase::running);
  EXPECT_EQ(supervisor.find("db")->health, Health::starting);
  EXPECT_EQ(launcher.launches("web"), 0);
  launcher.answer_probe("db", false);
  run_for(loop);
  EXPECT_EQ(launcher.launches("web"), 0);
  launcher.answer_probe("db", true);
  run_for(loop);
  EXPECT_EQ(supervisor.find("db")->health, Health::healthy);
  EXPECT_EQ(phase("web"), Phase::running);
}

TEST_F(SupervisorTest, CompletedMeansExitCodeZero) {
  define(config("setup"));
  define(config("web", {{"setup", C::completed}}));
  supervisor.start({"setup", "web"});
  run_for(loop);
  EXPECT_EQ(phase("web"), Phase::waiting);
  launcher.exit("setup", 0);
  run_for(loop);
  EXPECT_EQ(phase("setup"), Phase::exited);
  EXPECT_EQ(phase("web"), Phase::running);
}

TEST_F(SupervisorTest, ADependencyThatCanNoLongerBeMetFailsTheDependentsWithTheReason) {
  define(config("setup"));
  define(config("web", {{"setup", C::completed}}));
  define(config("front", {{"web", C::started}}));
  supervisor.start({"setup", "web", "front"});
  run_for(loop);
  launcher.exit("setup", 3);
  run_for(loop);
  EXPECT_EQ(phase("web"), Phase::failed);
  EXPECT_EQ(reason("web"), "setup did not complete: exited with code 3");
  EXPECT_EQ(phase("front"), Phase::failed);
  // The root of it, not the way there.
  EXPECT_EQ(reason("front"), "setup did not complete: exited with code 3");
}

TEST_F(SupervisorTest, StopGoesFromDependentsToWhatTheyDependOn) {
  launcher.obedient = false;
  define(config("a"));
  define(config("b", {{"a", C::started}}));
  define(config("c", {{"b", C::started}}));
  define(config("alone"));
  supervisor.start({"a", "b", "c", "alone"});
  for (const char* name : {"a", "b", "c", "alone"}) {
    run_for(loop);
    launcher.run(name);
  }
  run_for(loop);
  supervisor.stop({"a", "b", "c", "alone"});
  run_for(loop);
  EXPECT_EQ(phase("a"), Phase::running);
  EXPECT_EQ(phase("b"), Phase::running);
  EXPECT_EQ(phase("c"), Phase::stopping);
  EXPECT_EQ(phase("alone"), Phase::stopping);
  launcher.exit("c", 0);
  run_for(loop);
  EXPECT_EQ(phase("b"), Phase::stopping);
  EXPECT_EQ(phase("a"), Phase::running);
  launcher.exit("b", 0);
  run_for(loop);
  EXPECT_EQ(phase("a"), Phase::stopping);
  launcher.exit("a", 0);
  launcher.exit("alone", 0);
  run_for(loop);
  for (const char* name : {"a", "b", "c", "alone"}) EXPECT_TRUE(supervisor.quiet(name)) << name;
}

TEST_F(SupervisorTest, AStartOfWhatIsBeingPreparedStartsNothingTwice) {
  launcher.hold_launches = true;
  define(config("a"));
  supervisor.start({"a"});
  supervisor.start({"a"});
  run_for(loop);
  EXPECT_EQ(launcher.launches("a"), 1);
}

TEST_F(SupervisorTest, KillAsksNobodyForTheOrder) {
  launcher.obedient = false;
  define(config("a"));
  define(config("b", {{"a", C::started}}));
  supervisor.start({"a", "b"});
  run_for(loop);
  launcher.run("a");
  run_for(loop);
  launcher.run("b");
  run_for(loop);
  supervisor.stop({"a", "b"});
  supervisor.stop({"a", "b"}, /*kill=*/true);
  run_for(loop);
  EXPECT_TRUE(supervisor.quiet("a") && supervisor.quiet("b"));
  EXPECT_EQ(launcher.of("a").stops, std::vector<int>{9});
}

TEST_F(SupervisorTest, ACrashIsRestartedAfterTheBackOffWithANewInstance) {
  project::ServiceConfig c = config("a");
  c.restart.mode = project::RestartMode::on_failure;
  define(c);
  supervisor.start({"a"});
  run_for(loop);
  const std::string first = supervisor.find("a")->instance;
  launcher.exit("a", 1);
  run_until(loop, [&] { return phase("a") == Phase::backoff; });
  EXPECT_EQ(phase("a"), Phase::backoff);
  EXPECT_EQ(launcher.launches("a"), 1);
  run_until(loop, [&] { return phase("a") == Phase::running; });
  EXPECT_EQ(phase("a"), Phase::running);
  EXPECT_EQ(supervisor.find("a")->state.history.restarts, 1);
  EXPECT_NE(supervisor.find("a")->instance, first);
  EXPECT_EQ(position("clean a") < launcher.log.size(), true);
}

TEST_F(SupervisorTest, AStopDuringTheBackOffEndsIt) {
  project::ServiceConfig c = config("a");
  c.restart.mode = project::RestartMode::always;
  define(c);
  supervisor.start({"a"});
  run_for(loop);
  launcher.exit("a", 1);
  run_for(loop);
  supervisor.stop({"a"});
  run_for(loop, project::Milliseconds(150));
  EXPECT_EQ(phase("a"), Phase::stopped);
  EXPECT_EQ(launcher.launches("a"), 1);
}

TEST_F(SupervisorTest, AStopWhileItIsPreparedComesThroughInTheEnd) {
  launcher.hold_launches = true;
  define(config("a"));
  supervisor.start({"a"});
  supervisor.stop({"a"});
  EXPECT_EQ(phase("a"), Phase::stopping);
  launcher.finish_launch("a", Error(Errc::cancelled, "cancelled"));
  run_for(loop);
  EXPECT_EQ(phase("a"), Phase::stopped);
  EXPECT_TRUE(supervisor.quiet("a"));
}

TEST_F(SupervisorTest, ALaunchThatSucceedsAfterTheStopIsStopped) {
  launcher.hold_launches = true;
  define(config("a"));
  supervisor.start({"a"});
  supervisor.stop({"a"});
  launcher.finish_launch("a");
  run_for(loop);
  EXPECT_EQ(phase("a"), Phase::stopped);
  EXPECT_EQ(launcher.of("a").stops, std::vector<int>{0});
}

TEST_F(SupervisorTest, ALaunchThatFailsSaysWhy) {
  launcher.hold_launches = true;
  define(config("a"));
  supervisor.start({"a"});
  launcher.finish_launch("a", Error(Errc::already_exists, "port 80 is in use by pid 1 (nginx)"));
  run_for(loop);
  EXPECT_EQ(phase("a"), Phase::failed);
  EXPECT_EQ(reason("a"), "port 80 is in use by pid 1 (nginx)");
}

TEST_F(SupervisorTest, QuietOnlyAfterTheCleaning) {
  define(config("a"));
  supervisor.start({"a"});
  run_for(loop);
  bool was_quiet_before = false;
  supervisor.stop({"a"});
  while (phase("a") != Phase::stopped) {
    was_quiet_before = was_quiet_before || supervisor.quiet("a");
    run_for(loop, project::Milliseconds(1));
  }
  run_for(loop);
  EXPECT_FALSE(was_quiet_before);
  EXPECT_TRUE(supervisor.quiet("a"));
  EXPECT_LT(position("stop a 0"), position("clean a"));
}

TEST_F(SupervisorTest, HealthBeginsAnewWithEachLife) {
  with_check(config("a"));
  supervisor.start({"a"});
  run_for(loop);
  launcher.answer_probe("a", true);
  EXPECT_EQ(supervisor.find("a")->health, Health::healthy);
  supervisor.restart({"a"});
  run_for(loop, project::Milliseconds(50));
  EXPECT_EQ(phase("a"), Phase::running);
  EXPECT_EQ(supervisor.find("a")->health, Health::starting);
}

TEST_F(SupervisorTest, AProbeThatCouldNotBeMadeChangesNothing) {
  project::ServiceConfig c = config("a");
  c.health.kind = project::HealthSpec::Kind::exec;
  c.health.argv = {"check"};
  c.health.interval = project::Milliseconds(2);
  define(c);
  supervisor.start({"a"});
  const auto answer = [&](const net::Verdict& verdict) {
    run_until(loop, [&] { return launcher.of("a").probed != nullptr; });
    launcher.answer_probe("a", verdict);
  };
  answer(Result<void>());
  ASSERT_EQ(supervisor.find("a")->health, Health::healthy);
  for (int i = 0; i < 5; ++i)
    answer(net::Verdict::unknown(Error(Errc::failed, "socket: Too many open files")));
  EXPECT_EQ(supervisor.find("a")->health, Health::healthy);
  EXPECT_NE(supervisor.probe_failure("a").find("could not be asked"), std::string::npos);
  answer(Result<void>());
  EXPECT_EQ(supervisor.probe_failure("a"), "");
}

TEST_F(SupervisorTest, WhatCanBeAskedNothingUntilARestartIsNotWaitedForWithoutEnd) {
  project::ServiceConfig a = config("a"), b = config("b");
  a.health.kind = project::HealthSpec::Kind::exec;
  a.health.argv = {"check"};
  a.health.interval = project::Milliseconds(2);
  b.depends_on = {{"a", project::DependsCondition::healthy}};
  define(a);
  define(b);
  supervisor.start({"a", "b"});
  const net::Verdict lost =
      net::Verdict::unknown(Error(Errc::corrupt, "its run folder was deleted"), /*lasting=*/true);
  const auto answer = [&](const net::Verdict& verdict) {
    run_until(loop, [&] { return launcher.of("a").probed != nullptr; });
    launcher.answer_probe("a", verdict);
  };
  for (int i = 0; i < a.health.retries; ++i) answer(lost);
  EXPECT_EQ(supervisor.find("a")->health, Health::unhealthy);
  run_for(loop);
  EXPECT_EQ(phase("b"), Phase::failed);
  EXPECT_NE(supervisor.find("b")->state.reason.find("deleted; restart it"), std::string::npos)
      << supervisor.find("b")->state.reason;
  // What was healthy is left so.
  supervisor.restart({"a"});
  run_for(loop, project::Milliseconds(50));
  answer(Result<void>());
  for (int i = 0; i <= a.health.retries; ++i) answer(lost);
  EXPECT_EQ(supervisor.find("a")->health, Health::healthy);
}

TEST_F(SupervisorTest, ThreeFailuresInARowAfterASuccessAreUnhealthyAndOneSuccessMends) {
  project::ServiceConfig c = config("a");
  c.health.kind = project::HealthSpec::Kind::exec;
  c.health.argv = {"check"};
  c.health.interval = project::Milliseconds(5);
  define(c);
  supervisor.start({"a"});
  run_for(loop);
  launcher.answer_probe("a", true);
  const auto probed = [&] { return launcher.of("a").probed != nullptr; };
  for (int i = 0; i < 3; ++i) {
    run_until(loop, probed);
    EXPECT_EQ(supervisor.find("a")->health, Health::healthy);
    launcher.answer_probe("a", false);
  }
  EXPECT_EQ(supervisor.find("a")->health, Health::unhealthy);
  run_until(loop, probed);
  launcher.answer_probe("a", true);
  EXPECT_EQ(supervisor.find("a")->health, Health::healthy);
}

TEST_F(SupervisorTest, AStartThatIsHeldUpIsTriedAgainAndItsDependentsGoOnWaiting) {
  launcher.hold_launches = true;
  project::ServiceConfig db = config("db");
  db.restart.mode = project::RestartMode::always;
  define(db);
  define(config("web", {{"db", C::started}}));
  supervisor.start({"db", "web"});
  const Error full(Errc::no_space, "the disk is full");
  for (int i = 1; i <= 2; ++i) {
    launcher.finish_launch("db", full);
    EXPECT_EQ(phase("db"), Phase::backoff);
    EXPECT_EQ(phase("web"), Phase::waiting);
    EXPECT_NE(reason("web").find("waits for db to start (the disk is full; next try after"),
              std::string::npos)
        << reason("web");
    run_until(loop, [&] { return launcher.launches("db") > i; });
    ASSERT_EQ(launcher.launches("db"), i + 1);
  }
  launcher.finish_launch("db");
  run_until(loop, [&] { return phase("db") == Phase::running; });
  EXPECT_EQ(phase("db"), Phase::running);
  EXPECT_EQ(supervisor.find("db")->state.history.restarts, 0);
  run_until(loop, [&] { return launcher.launches("web") == 1; });
  launcher.finish_launch("web", Error(Errc::not_found, "no such image"));
  EXPECT_EQ(phase("web"), Phase::failed) << "without a policy, and it does not pass";
}

TEST(EdgeState, OfOneThatIsHeldUpIsPendingHoweverOften) {
  ServiceState s;
  s.phase = Phase::backoff;
  s.held_up = true;
  s.reason = "disk full; next try after 100ms\n  hint: make room";
  for (const C c : {C::started, C::healthy, C::completed}) {
    s.history.failures = 1;
    const EdgeState first = edge_state("db", c, s, Health::none, "", true);
    EXPECT_EQ(first.kind, EdgeState::Kind::pending);
    EXPECT_FALSE(first.held_up);
    EXPECT_EQ(first.reason.find('\n'), std::string::npos);
    s.history.failures = kHopelessFailures;
    const EdgeState later = edge_state("db", c, s, Health::none, "", true);
    EXPECT_EQ(later.kind, EdgeState::Kind::pending);
    EXPECT_TRUE(later.held_up) << "who waits for `up` is told";
  }
}

TEST(EdgeState, EveryEndOfADependencyHasAnAnswer) {
  const auto edge = [](Phase phase, C condition, Health health = Health::none, bool check = true) {
    ServiceState s;
    s.phase = phase;
    if (phase == Phase::exited)
      s.exit = ExitInfo{.code = 0, .signal = {}, .never_ran = false, .reason = {}};
    return edge_state("db", condition, s, health, "", check).kind;
  };
  using K = EdgeState::Kind;
  for (const C c : {C::started, C::healthy, C::completed}) {
    EXPECT_EQ(edge(Phase::stopped, c), K::impossible);
    EXPECT_EQ(edge(Phase::failed, c), K::impossible);
    EXPECT_EQ(edge(Phase::waiting, c), K::pending);
    EXPECT_EQ(edge(Phase::preparing, c), K::pending);
    EXPECT_EQ(edge(Phase::starting, c), K::pending);
  }
  EXPECT_EQ(edge(Phase::running, C::started), K::satisfied);
  EXPECT_EQ(edge(Phase::running, C::healthy, Health::starting), K::pending);
  EXPECT_EQ(edge(Phase::running, C::healthy, Health::healthy), K::satisfied);
  EXPECT_EQ(edge(Phase::running, C::healthy, Health::unhealthy), K::impossible);
  EXPECT_EQ(edge(Phase::running, C::healthy, Health::none, /*check=*/false), K::satisfied);
  EXPECT_EQ(edge(Phase::running, C::completed), K::pending);
  EXPECT_EQ(edge(Phase::exited, C::started), K::satisfied);
  EXPECT_EQ(edge(Phase::exited, C::completed), K::satisfied);
  EXPECT_EQ(edge(Phase::exited, C::healthy), K::impossible);
}

TEST(HealthTracker, FailuresBeforeTheFirstSuccessCountOnlyAfterTheStartPeriod) {
  project::HealthConfig c;
  c.start_period = project::Milliseconds(1000);
  c.retries = 2;
  HealthTracker t(c);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(t.on_result(false, project::Milliseconds(999)), Health::starting);
  EXPECT_EQ(t.on_result(false, project::Milliseconds(1000)), Health::starting);
  EXPECT_EQ(t.on_result(false, project::Milliseconds(1001)), Health::unhealthy);
  EXPECT_EQ(t.on_result(true, project::Milliseconds(1002)), Health::healthy);
}

TEST(HealthTracker, ProbesComeAfterFivePercentOfTheAgeUntilTheFirstSuccess) {
  project::HealthConfig c;
  HealthTracker t(c);
  EXPECT_EQ(t.next_delay(project::Milliseconds(0)).count(), 5);
  EXPECT_EQ(t.next_delay(project::Milliseconds(100)).count(), 5);
  EXPECT_EQ(t.next_delay(project::Milliseconds(1000)).count(), 50);
  EXPECT_EQ(t.next_delay(project::Milliseconds(100000)).count(), 2000) << "at most the interval";
  t.on_result(true, project::Milliseconds(200));
  EXPECT_EQ(t.next_delay(project::Milliseconds(200)).count(), 2000);
}

}  // namespace
}  // namespace locald::server
