// Each path through the drawing in instance_state.h. instance_walk_test.cc goes them at random.
#include "shim/instance_state.h"

#include <gtest/gtest.h>

#include <csignal>
#include <vector>

#include "shim/instance_fixture.h"

namespace locald::shim {
namespace {

// --- ends without a stop ------------------------------------------------------

TEST(InstanceState, AnEndIsReportedAfterTheRestIsKilledAndTheOutputDrained) {
  for (const Rest rest : {Rest::asked, Rest::killed}) {
    Life life(rest);
    life.others = 2;
    life.run();
    EXPECT_EQ(life.state.phase, Phase::running);
    life.end();
    EXPECT_EQ(life.said, "announce kill");
    EXPECT_EQ(life.state.phase, Phase::draining);
    EXPECT_EQ(life.state.deadline_ms, 0);
    life.drained();
    EXPECT_EQ(life.said, "announce kill report");
    EXPECT_EQ(life.state.phase, Phase::done);
    EXPECT_FALSE(life.state.never_ran);
  }
}

TEST(InstanceState, WhatAnExecSessionLeavesIsLeftAlone) {
  Life life(Rest::left);
  life.others = 3;
  life.run();
  life.end();
  life.drained();
  EXPECT_EQ(life.said, "announce report");
  EXPECT_EQ(life.others, 3);
}

TEST(InstanceState, AFailureBeforeTheStartIsReportedAtOnce) {
  Life life(Rest::asked);
  life.feed(event::Failed{life.now});
  EXPECT_EQ(life.said, "report");
  EXPECT_TRUE(life.state.never_ran);
  EXPECT_EQ(life.state.phase, Phase::done);
}

TEST(InstanceState, ACommandThatWasNotExecutedHasNeverRun) {
  Life reported(Rest::killed);
  reported.spawn();
  reported.feed(event::NotExecuted{});
  EXPECT_EQ(reported.state.phase, Phase::running) << "its end is still to come";
  reported.end();
  reported.drained();
  EXPECT_EQ(reported.said, "kill report");
  EXPECT_TRUE(reported.state.never_ran);

  Life silent(Rest::killed);
  silent.spawn();
  silent.end(/*never_executed=*/true);
  silent.drained();
  EXPECT_EQ(silent.said, "kill report");
  EXPECT_TRUE(silent.state.never_ran);
}

// --- stops ------------------------------------------------------------------------

TEST(InstanceState, AMainProcessThatHearsNothingAndIsAloneIsKilledAtOnce) {
  Life life(Rest::killed);
  life.deaf = true;
  life.run();
  life.stop(5000);
  life.drained();
  EXPECT_EQ(life.said, "announce signal:15 kill report");
}

TEST(InstanceState, ThoseBelowAMainProcessThatHearsNothingAreAskedInItsPlace) {
  Life life(Rest::killed);
  life.deaf = true;
  life.others = life.heard = 2;
  life.run();
  life.stop(5000);
  life.pass(3000);
  EXPECT_EQ(life.said, "announce signal:15");
  life.feed(event::AskedEnded{life.now});
  life.pass(kLastWordsMs - 1);
  EXPECT_EQ(life.said, "announce signal:15");
  life.pass(1);
  EXPECT_EQ(life.said, "announce signal:15 kill");
}

TEST(InstanceState, TheLastWordsLastNoLongerThanTheStop) {
  Life life(Rest::killed);
  life.deaf = true;
  life.others = life.heard = 1;
  life.run();
  life.feed(event::AskedEnded{life.now});
  EXPECT_EQ(life.state.deadline_ms, 0) << "nobody asked for an end";
  life.stop(100);
  const auto deadline = life.state.deadline_ms;
  life.feed(event::AskedEnded{life.now});
  EXPECT_EQ(life.state.deadline_ms, deadline);
}

TEST(InstanceState, AStopSignalsAndTheEndThatFollowsIsAnOrdinaryOne) {
  Life life(Rest::killed);
  life.run();
  life.stop(5000);
  EXPECT_EQ(life.state.deadline_ms, life.now + 5000);
  life.pass(4999);
  life.end();
  life.drained();
  EXPECT_EQ(life.said, "announce signal:15 kill report");
}

TEST(InstanceState, AtTheDeadlineAllIsKilledAndNotBefore) {
  for (const Rest rest : {Rest::asked, Rest::killed}) {
    Life life(rest);
    life.others = 1;
    life.run();
    life.stop(5000, SIGINT);
    life.pass(4999);
    EXPECT_EQ(life.said, "announce signal:2");
    life.pass(1);
    EXPECT_EQ(life.said, "announce signal:2 kill");
    EXPECT_TRUE(life.state.main_over);
    life.drained();
    EXPECT_EQ(life.said, "announce signal:2 kill report");
  }
}

TEST(InstanceState, AStopWithoutTimeKillsAtOnce) {
  for (const Rest rest : {Rest::asked, Rest::killed}) {
    Life life(rest);
    life.others = 1;
    life.run();
    life.stop(0);
    EXPECT_EQ(life.state.stop_signal, SIGKILL);
    life.drained();
    EXPECT_EQ(life.said, "announce kill report");
  }
}

TEST(InstanceState, AFurtherStopReplacesSignalAndDeadline) {
  Life sooner(Rest::killed);
  sooner.run();
  sooner.stop(60'000);
  sooner.pass(1000);
  sooner.stop(500, SIGINT);
  sooner.pass(499);
  EXPECT_EQ(sooner.said, "announce signal:15 signal:2");
  sooner.pass(1);
  EXPECT_EQ(sooner.said, "announce signal:15 signal:2 kill");

  Life later(Rest::killed);
  later.run();
  later.stop(500);
  later.pass(499);
  later.stop(60'000);
  later.pass(59'999);
  EXPECT_EQ(later.said, "announce signal:15 signal:15");
  later.stop(0);
  EXPECT_EQ(later.said, "announce signal:15 signal:15 kill");
}

TEST(InstanceState, DuringAStopTheRestOfAHostTreeIsAskedAndHasTheTimeThatIsLeft) {
  const auto asked = [] {
    Life life(Rest::asked);
    life.others = life.heard = 2;
    life.run();
    life.stop(5000, SIGINT);
    life.pass(1000);
    life.end();
    EXPECT_EQ(life.said, "announce signal:2 ask:2");
    EXPECT_EQ(life.state.phase, Phase::ending);
    return life;
  };
  Life all_end = asked();
  all_end.others = 0;
  all_end.feed(event::TreeEmpty{});
  EXPECT_EQ(all_end.said, "announce signal:2 ask:2 kill") << "the proof that nothing is left";
  EXPECT_EQ(all_end.state.phase, Phase::draining);

  Life late = asked();
  late.pass(3999);
  EXPECT_EQ(late.state.phase, Phase::ending);
  late.pass(1);
  EXPECT_EQ(late.said, "announce signal:2 ask:2 kill");
  late.drained();
  EXPECT_EQ(late.reports, 1);

  Life killed = asked();
  killed.stop(0);
  EXPECT_EQ(killed.said, "announce signal:2 ask:2 kill");

  Life sooner = asked();
  sooner.stop(100);
  EXPECT_EQ(sooner.said, "announce signal:2 ask:2") << "the main process is not there any more";
  sooner.pass(100);
  EXPECT_EQ(sooner.said, "announce signal:2 ask:2 kill");
}

TEST(InstanceState, WhereThereIsNobodyToAskTheTreeIsKilledAtOnce) {
  Life nobody(Rest::asked);
  nobody.run();
  nobody.stop(5000);
  nobody.end();
  EXPECT_EQ(nobody.said, "announce signal:15 ask:15 kill");

  Life by_kill(Rest::asked);
  by_kill.others = by_kill.heard = 1;
  by_kill.run();
  by_kill.stop(5000, SIGKILL);
  by_kill.end();
  EXPECT_EQ(by_kill.said, "announce signal:9 kill");

  Life no_time_left(Rest::asked);
  no_time_left.others = no_time_left.heard = 1;
  no_time_left.run();
  no_time_left.stop(5000);
  no_time_left.now += 5000;
  no_time_left.end();
  EXPECT_EQ(no_time_left.said, "announce signal:15 kill");
}

TEST(InstanceState, StopsAfterTheEndMeanNothing) {
  Life life(Rest::killed);
  life.run();
  life.end();
  life.stop(100);
  life.stop(0);
  EXPECT_FALSE(life.state.stopping);
  EXPECT_EQ(life.state.deadline_ms, 0);
  life.drained();
  life.stop(0);
  life.drained();
  EXPECT_EQ(life.said, "announce kill report");
}

// --- stops before the command runs ---------------------------------------------------

TEST(InstanceState, BeforeTheCommandRunsTheSignalWaitsForIt) {
  Life life(Rest::killed);
  life.stop(5000, SIGINT);
  life.spawn();
  life.stop(5000, SIGHUP);
  EXPECT_EQ(life.said, "");
  life.feed(event::Executed{});
  EXPECT_EQ(life.said, "announce signal:1");
}

TEST(InstanceState, WhatIsKilledBeforeItsStartHasNeverRun) {
  Life at_once(Rest::killed);
  at_once.stop(0);
  at_once.drained();
  EXPECT_EQ(at_once.said, "kill unstarted report");
  EXPECT_TRUE(at_once.state.never_ran);

  Life late(Rest::killed);
  late.stop(300);
  late.pass(300);
  late.feed(event::Spawned{});  // means nothing any more
  late.drained();
  EXPECT_EQ(late.said, "kill unstarted report");

  Life exec(Rest::left);
  exec.kill_pending = true;
  exec.stop(0);
  exec.drained();
  EXPECT_EQ(exec.said, "kill unstarted report");
}

TEST(InstanceState, AStartThatFailsDuringAStopIsReportedAsAFailure) {
  Life life(Rest::killed);
  life.stop(5000);
  life.feed(event::Failed{life.now});
  EXPECT_EQ(life.said, "report");
  EXPECT_EQ(life.state.deadline_ms, 0);
}

// --- what cannot be killed --------------------------------------------------------------

TEST(InstanceState, AMainProcessThatCannotBeKilledHasAnUnknownEnd) {
  Life life(Rest::killed);
  life.unkillable = true;
  life.run();
  life.stop(0);
  EXPECT_EQ(life.state.phase, Phase::draining);
  EXPECT_TRUE(life.state.main_over);
  life.end();  // late: what was recorded stays
  life.drained();
  EXPECT_EQ(life.said, "announce kill unknown report");
  EXPECT_FALSE(life.state.never_ran);
}

TEST(InstanceState, WhatOfTheRestCannotBeKilledDoesNotChangeTheEndOfTheMainProcess) {
  Life life(Rest::asked);
  life.unkillable = true;
  life.others = 1;
  life.run();
  life.end();
  life.drained();
  EXPECT_EQ(life.said, "announce kill report");
}

TEST(InstanceState, AnExecSessionThatIsKilledWaitsForItsEnd) {
  Life life(Rest::left);
  life.kill_pending = true;
  life.run();
  life.stop(200);
  life.pass(200);
  EXPECT_EQ(life.state.phase, Phase::killed);
  EXPECT_EQ(life.state.deadline_ms, life.now + kKillLimitMs);
  life.pass(kKillLimitMs - 1);
  life.end();
  life.drained();
  EXPECT_EQ(life.said, "announce signal:15 kill report");
}

TEST(InstanceState, AnExecSessionThatDoesNotDieIsReportedAtItsLimit) {
  Life life(Rest::left);
  life.kill_pending = true;
  life.run();
  life.stop(0);
  life.pass(kKillLimitMs - 1);
  EXPECT_EQ(life.state.phase, Phase::killed);
  life.pass(1);
  EXPECT_EQ(life.state.phase, Phase::draining);
  life.drained();
  EXPECT_EQ(life.said, "announce kill unkillable report");

  Life dies_late(Rest::left);
  dies_late.kill_pending = true;
  dies_late.run();
  dies_late.stop(0);
  dies_late.pass(kKillLimitMs);
  dies_late.end();
  EXPECT_TRUE(dies_late.state.main_over) << "its status is known before the report";
  dies_late.drained();
  EXPECT_EQ(dies_late.said, "announce kill unkillable report");
}

TEST(InstanceState, AnExecSessionThatDoesNotDieCanBeStoppedAgain) {
  Life life(Rest::left);
  life.kill_pending = true;
  life.run();
  life.stop(0);
  life.pass(4000);
  life.stop(0);
  EXPECT_EQ(life.state.deadline_ms, life.now + kKillLimitMs);
  life.pass(4000);
  life.stop(300, SIGINT);
  EXPECT_EQ(life.state.phase, Phase::running);
  life.pass(300);
  EXPECT_EQ(life.state.phase, Phase::killed);
  life.pass(kKillLimitMs);
  life.drained();
  EXPECT_EQ(life.said, "announce kill kill signal:2 kill unkillable report");
}

// --- hold -------------------------------------------------------------------------------

TEST(InstanceState, HeldOutputWaitsForItsClientEvenAfterTheEnd) {
  Life life(Rest::killed, /*hold=*/true);
  life.run();
  life.end();
  EXPECT_EQ(life.state.deadline_ms, life.now + kHoldLimitMs);
  life.drained();
  EXPECT_EQ(life.state.phase, Phase::draining) << "nobody has come for the output";
  life.feed(event::OutputTaken{});
  EXPECT_EQ(life.state.deadline_ms, 0);
  life.pass(kHoldLimitMs);
  EXPECT_EQ(life.state.phase, Phase::draining)
      << "a client that has come reads as slowly as it likes";
  life.drained();
  EXPECT_EQ(life.said, "announce kill report");
}

TEST(InstanceState, AClientThatNeverComesIsNotWaitedForLongerThanTheLimit) {
  std::vector<Life> lives;
  Life failed(Rest::killed, true);
  failed.feed(event::Failed{failed.now});
  lives.push_back(failed);
  Life ended(Rest::asked, true);
  ended.run();
  ended.end();
  lives.push_back(ended);
  Life left(Rest::left, true);
  left.run();
  left.end();
  lives.push_back(left);
  Life unkillable(Rest::left, true);
  unkillable.kill_pending = true;
  unkillable.run();
  unkillable.stop(0);
  unkillable.pass(kKillLimitMs);
  lives.push_back(unkillable);
  for (Life& life : lives) {
    life.pass(kHoldLimitMs - 1);
    life.drained();
    EXPECT_EQ(life.reports, 0);
    life.pass(1);
    EXPECT_EQ(life.state.phase, Phase::draining) << "the output is still to be read";
    life.drained();
    EXPECT_EQ(life.reports, 1);
  }
}

TEST(InstanceState, AClientThatComesWhileItRunsEndsTheHold) {
  Life life(Rest::left, true);
  life.run();
  life.stop(5000);
  life.feed(event::OutputTaken{});
  EXPECT_EQ(life.state.deadline_ms, life.now + 5000) << "the deadline is the stop's";
  life.end();
  EXPECT_EQ(life.state.deadline_ms, 0);
  life.drained();
  EXPECT_EQ(life.reports, 1);
}

}  // namespace
}  // namespace locald::shim
