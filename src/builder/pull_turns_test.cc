#include "builder/pull_turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace locald::builder {
namespace {

TEST(PullTurns, WhoWaitsHearsHowThePullGoes) {
  PullTurns turns;
  auto first = std::make_unique<Result<PullTurns::Turn>>(turns.take("redis", {}, {}));
  ASSERT_TRUE(*first);
  (*first)->tell({.phase = "waiting", .item = "rate limited by docker.io; next try in 60 s"});
  std::vector<std::string> heard;
  std::promise<void> joined, more;
  std::thread second([&] {
    const auto turn = turns.take("redis",
                                 [&](const PrepareProgress& p) {
                                   heard.push_back(p.item);
                                   (heard.size() == 1 ? joined : more).set_value();
                                 },
                                 {});
    EXPECT_TRUE(turn);
  });
  joined.get_future().wait();  // at once, though nothing new was said
  (*first)->tell({.phase = "pull", .item = "3f2a"});
  more.get_future().wait();
  EXPECT_TRUE(turns.take("postgres", {}, {}));  // another image waits for nobody
  first.reset();
  second.join();
  EXPECT_EQ(heard,
            (std::vector<std::string>{"rate limited by docker.io; next try in 60 s", "3f2a"}));
  EXPECT_TRUE(turns.take("redis", {}, {}));
}

TEST(PullTurns, WhoWaitsCanBeCalledOff) {
  PullTurns turns;
  auto first = std::make_unique<Result<PullTurns::Turn>>(turns.take("redis", {}, {}));
  (*first)->tell({.phase = "resolve"});
  std::stop_source stop;
  std::promise<void> joined;
  std::thread second([&] {
    const auto turn = turns.take(
        "redis", [&](const PrepareProgress&) { joined.set_value(); }, stop.get_token());
    ASSERT_FALSE(turn);
    EXPECT_EQ(turn.error().code(), Errc::cancelled);
  });
  joined.get_future().wait();
  stop.request_stop();
  second.join();
  (*first)->tell({.phase = "pull"});  // nobody is left to be told
  first.reset();
  EXPECT_TRUE(turns.take("redis", {}, {}));
}

TEST(PullTurns, OneAtATime) {
  PullTurns turns;
  std::atomic<int> inside = 0, most = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      const auto turn = turns.take("redis", [](const PrepareProgress&) {}, {});
      ASSERT_TRUE(turn);
      if (++inside > most) most = inside.load();
      turn->tell({.phase = "pull"});
      std::this_thread::yield();
      --inside;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace locald::builder
