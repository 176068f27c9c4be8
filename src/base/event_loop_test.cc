#include "base/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/job_pool.h"
#include "base/sys.h"

namespace locald {
namespace {

using namespace std::chrono_literals;

TEST(EventLoop, CallsBackForDescriptorsTimersAndPosts) {
  EventLoop loop;
  auto [read, write] = *sys::pipe();
  std::string order;
  auto watch = loop.watch_readable(read.get(), [&, fd = read.get()] {
    char c = 0;
    ASSERT_EQ(::read(fd, &c, 1), 1);
    order += c;
    if (c == 'b') loop.stop();
  });
  auto timer = loop.after(5ms, [&, fd = write.get()] { (void)!::write(fd, "ab", 2); });
  auto never = loop.after(1ms, [&] { order += '!'; });
  never.reset();
  loop.post([&] { order += 'p'; });
  loop.run();
  EXPECT_EQ(order, "pab");
}

TEST(EventLoop, HandleMayGoInItsOwnCallback) {
  EventLoop loop;
  EventLoop::Handle timer;
  auto [read, write] = *sys::pipe();
  EventLoop::Handle watch;
  int calls = 0;
  (void)!::write(write.get(), "x", 1);
  watch = loop.watch_readable(read.get(), [&] {
    ++calls;
    watch.reset();
  });
  timer = loop.after(20ms, [&] {
    timer.reset();
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(JobPool, RunsOffTheLoopAndAnswersOnIt) {
  EventLoop loop;
  JobPool pool(loop, 2);
  const auto here = std::this_thread::get_id();
  std::vector<int> results;
  for (int i = 0; i < 20; ++i) {
    pool.run<int>(
        "n", [=](std::stop_token) { return std::this_thread::get_id() == here ? -1 : i; },
        [&](int n) {
          EXPECT_TRUE(std::this_thread::get_id() == here);
          results.push_back(n);
          if (results.size() == 20) loop.stop();
        });
  }
  loop.run();
  for (int n : results) EXPECT_GE(n, 0);
}

TEST(JobPool, CancelAsksAndStillAnswers) {
  EventLoop loop;
  JobPool pool(loop, 1);
  bool cancelled = false;
  auto job = pool.run<bool>(
      "wait",
      [](std::stop_token stop) {
        while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
        return true;
      },
      [&](bool value) {
        cancelled = value;
        loop.stop();
      });
  auto timer = loop.after(5ms, [&] { job.cancel(); });
  loop.run();
  EXPECT_TRUE(cancelled);
}

}  // namespace
}  // namespace locald
