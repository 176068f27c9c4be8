// Events in any order: what must hold whatever comes.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <random>
#include <string>

#include "shim/instance_fixture.h"
#include "shim/instance_state.h"

namespace locald::shim {
namespace {

/// Draws lives, and looks after each event whether all holds that session.cc relies on.
class Walk {
 public:
  explicit Walk(std::uint32_t seed) : random_(seed) {}

  /// One life, to its end. Returns the number of its events; 0 after a failure.
  int live() {
    Life life(static_cast<Rest>(below(3)), /*hold=*/below(3) == 0);
    life.kill_pending = life.state.rest == Rest::left && below(8) != 0;
    life.unkillable = life.state.rest != Rest::left && below(8) == 0;
    life.others = below(3);
    life.deaf = below(4) == 0;
    deadline_ = 0;
    trace_.clear();
    events_ = 0;
    for (int left = 1 + below(60); left > 0 && !failed_; --left) draw(life);
    // Nobody asks for anything any more: after one stop it ends by itself, whatever has happened.
    constexpr int kStopMs = 2000;
    const std::int64_t bound = life.now + kStopMs + 2 * kKillLimitMs + kHoldLimitMs + 1000;
    stop(life, kStopMs);
    while (life.state.phase != Phase::done && life.now <= bound && !failed_) {
      pass(life, 500);
      feed(life, "drained", false, [&] { life.drained(); });
    }
    if (!failed_ && life.reports != 1) fail("no end", life);
    return failed_ ? 0 : events_;
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint32_t>(n)); }

  void draw(Life& life) {
    const Phase phase = life.state.phase;
    life.heard = life.others == 0 ? 0 : below(life.others + 1);
    switch (below(13)) {
      case 12:
        if (!life.deaf) return;
        feed(life, "asked ended", false, [&] { life.feed(event::AskedEnded{life.now}); });
        if (deadline_ != 0 && life.state.deadline_ms != 0) deadline_ = life.state.deadline_ms;
        return;
      case 0:
        if (phase == Phase::starting && below(2) == 0)
          feed(life, "spawned", false, [&] { life.spawn(); });
        return;
      case 1:
        return feed(life, "executed", life.deaf, [&] { life.feed(event::Executed{}); });
      case 2:
        if (below(4) == 0)
          feed(life, "not executed", false, [&] { life.feed(event::NotExecuted{}); });
        return;
      case 3:
        if (life.main_alive && below(3) == 0)
          feed(life, "ended", phase == Phase::running, [&] { life.end(below(4) == 0); });
        return;
      case 4:
        if (below(2) == 0) stop(life, below(4) == 0 ? 0 : 1 + below(9000));
        return;
      case 5:
      case 6:
      case 7:
        return pass(life, below(3000));
      case 8:
        if (phase != Phase::ending) return feed_stray(life);
        if (life.others > 0) --life.others;
        if (life.others == 0) feed(life, "empty", true, [&] { life.feed(event::TreeEmpty{}); });
        return;
      case 9:
        if (below(4) == 0) feed(life, "taken", false, [&] { life.feed(event::OutputTaken{}); });
        return;
      case 10:
        return feed(life, "drained", false, [&] { life.drained(); });
      case 11:
        if (below(8) != 0 || phase != Phase::starting) return;
        life.proven = true;  // nothing was started
        return feed(life, "failed", false, [&] { life.feed(event::Failed{life.now}); });
    }
  }

  /// What nobody has asked for, or what is over: nothing may come of it.
  void feed_stray(Life& life) {
    const InstanceState before = life.state;
    feed(life, "stray", false, [&] {
      life.feed(event::TreeAsked{0});
      life.feed(event::TreeEmpty{});
      life.feed(event::Killed{life.now});
      if (life.state.phase != Phase::starting) life.feed(event::Failed{life.now});
      if (!life.main_alive) life.feed(event::MainEnded{life.now, true});
    });
    if (!(life.state == before)) fail("a stray event changes something", life);
  }

  void stop(Life& life, int timeout_ms) {
    const bool counts = life.state.phase < Phase::draining;
    feed(life, "stop:" + std::to_string(timeout_ms), timeout_ms == 0 || life.deaf, [&] {
      life.stop(static_cast<std::uint32_t>(timeout_ms), below(5) == 0 ? SIGKILL : SIGTERM);
    });
    if (counts) deadline_ = timeout_ms == 0 ? 0 : life.now + timeout_ms;
  }

  void pass(Life& life, int ms) {
    const bool due = deadline_ != 0 && life.now + ms >= deadline_;
    const bool runs = life.state.phase < Phase::killing;
    feed(life, "pass:" + std::to_string(ms), due, [&] { life.pass(ms); });
    if (due && runs && life.state.phase < Phase::killing) fail("not killed at the deadline", life);
    if (due) deadline_ = 0;
    if (life.state.deadline_ms != 0 && life.state.deadline_ms <= life.now)
      fail("a deadline stays that has passed", life);
  }

  template <typename F>
  void feed(Life& life, const std::string& name, bool may_kill, const F& event) {
    if (failed_) return;
    const InstanceState before = life.state;
    const int kills = life.kills, signals = life.signals;
    trace_ += ' ' + name;
    ++events_;
    event();
    const InstanceState& s = life.state;
    if (life.reports > 1) fail("reported twice", life);
    if ((life.reports == 1) != (s.phase == Phase::done)) fail("done without a report", life);
    if (s.phase >= Phase::draining && !life.proven) fail("at its end without proof", life);
    if (s.phase == Phase::killing) fail("stays in killing", life);
    if (before.phase >= Phase::draining && s.phase < before.phase) fail("alive again", life);
    if (life.kills > kills && !may_kill) fail("killed without a reason", life);
    if (life.kills > kills + 1) fail("killed twice", life);
    if (life.kills > kills && before.phase >= Phase::draining) fail("killed after its end", life);
    if (life.signals > signals && before.phase >= Phase::draining)
      fail("signal after its end", life);
    if (s.phase == Phase::draining && s.hold && s.deadline_ms == 0) fail("waits for ever", life);
    if (s.phase == Phase::killed && s.deadline_ms == 0) fail("waits for ever for an end", life);
    if (before.never_ran && !s.never_ran) fail("has run after all", life);
    if (before.main_over && !s.main_over) fail("its end is forgotten", life);
  }

  void fail(const char* what, const Life& life) {
    failed_ = true;
    ADD_FAILURE() << what << " after:" << trace_ << "\n  said: " << life.said;
  }

  std::mt19937 random_;
  std::string trace_;
  int events_ = 0;
  std::int64_t deadline_ = 0;  ///< of the last stop, until it has passed; 0: none
  bool failed_ = false;
};

TEST(InstanceWalk, NeverReportsTwiceOrWithoutProofAndKillsInTimeAndAlwaysEnds) {
  Walk walk(20);
  int events = 0, lives = 0;
  while (events < 200'000) {
    const int n = walk.live();
    ASSERT_GT(n, 0) << "life " << lives;
    events += n;
    ++lives;
  }
  EXPECT_GT(lives, 3000);
}

}  // namespace
}  // namespace locald::shim
