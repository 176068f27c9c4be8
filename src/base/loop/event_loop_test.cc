#include "base/loop/event_loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/loop/job_pool.h"
#include "base/sys/sys.h"

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

TEST(JobPool, AJobForWhichThereIsNoMemoryEndsWithAnError) {
  EventLoop loop;
  JobPool pool(loop, 2);
  std::vector<std::string> ends;
  const auto done = [&](const Result<std::string>& result) {
    ends.push_back(result ? *result : result.error().message());
    if (ends.size() == 3) loop.stop();
  };
  // Asks for an array of a length that no memory has: std::bad_alloc, whatever the allocator.
  const auto allocate = [] {
    volatile std::ptrdiff_t none = -1;
    return std::to_string(*std::unique_ptr<int[]>(new int[none]).get());
  };
  pool.run<Result<std::string>>(
      "alloc", [&](const std::stop_token&) -> Result<std::string> { return allocate(); }, done);
  pool.run<Result<std::string>>(
      "length",
      [](const std::stop_token&) -> Result<std::string> {
        return std::string(std::string().max_size() + 1, 'x');
      },
      done);
  pool.run<std::string>(
      "plain", [&](const std::stop_token&) -> std::string { return allocate(); },
      [&](const std::string& text) { done(Result<std::string>("plain" + text)); });
  loop.run();
  std::sort(ends.begin(), ends.end());
  EXPECT_EQ(ends, (std::vector<std::string>{"plain", "there is not enough memory for this",
                                            "there is not enough memory for this"}));
}

TEST(JobPool, WithoutAFurtherThreadAJobWaitsForOne) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer maps more memory than a limit could leave";
#endif
  EventLoop loop;
  JobPool pool(loop, 2);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  std::promise<void> first_runs, second_ran;
  int ends = 0;
  const auto done = [&](int) {
    if (++ends == 2) loop.stop();
  };
  // The first one waits for the second: it is not enough to look again once a job has ended.
  pool.run<int>(
      "first",
      [&](const std::stop_token&) {
        first_runs.set_value();
        second_ran.get_future().wait();
        return 1;
      },
      done);
  first_runs.get_future().wait();
  // Threads that ended have left their stacks to the next ones: these take them.
  std::promise<void> over;
  const std::shared_future<void> until = over.get_future().share();
  std::vector<std::jthread> others;
  for (int i = 0; i < 16; ++i) others.emplace_back([until] { until.wait(); });
  rlimit few = before;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  // Enough for all else, not for the stack of a thread.
  few.rlim_cur = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (4 << 20);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &few), 0);
  EXPECT_THROW(std::jthread([] {}), std::system_error);
  pool.run<int>(
      "second",
      [&](const std::stop_token&) {
        second_ran.set_value();
        return 2;
      },
      done);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  loop.run();
  EXPECT_EQ(ends, 2);
  over.set_value();
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

TEST(JobPool, OneThatStepsAsideLetsOthersRun) {
  EventLoop loop;
  JobPool pool(loop, 1);
  std::atomic<bool> go_on = false;
  std::atomic<int> counted = 0, most = 0;
  std::vector<int> order;
  const auto done = [&](int n) {
    order.push_back(n);
    if (order.size() == 4) loop.stop();
  };
  const auto count = [&] {
    most = std::max(most.load(), ++counted);
    std::this_thread::sleep_for(2ms);
    --counted;
  };
  for (int n = 0; n < 2; ++n)
    pool.run<int>(
        "aside",
        [&, n](std::stop_token) {
          {
            const JobPool::UncountedScope uncounted;
            const JobPool::UncountedScope again;  // counts once
            while (!go_on) std::this_thread::sleep_for(1ms);
          }
          count();
          return n;
        },
        done);
  for (int n = 2; n < 4; ++n)
    pool.run<int>(
        "other",
        [&, n](std::stop_token) {
          count();
          if (n == 3) go_on = true;
          return n;
        },
        done);
  auto timer = loop.after(10s, [&] {
    go_on = true;
    ADD_FAILURE() << "the others waited";
  });
  loop.run();
  EXPECT_EQ(std::vector(order.begin(), order.begin() + 2), (std::vector{2, 3}));
  EXPECT_EQ(most, 1);
  const JobPool::UncountedScope nobodys;
}

TEST(JobPool, OneThatIsAsideEndsWithItsPool) {
  EventLoop loop;
  std::atomic<bool> aside = false, ended = false;
  {
    JobPool pool(loop, 1);
    pool.run<int>(
        "aside",
        [&](std::stop_token stop) {
          {
            const JobPool::UncountedScope waiting;
            aside = true;
            while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
          }
          ended = true;
          return 0;
        },
        [](int) { FAIL(); });
    pool.run<int>(
        "other",
        [&](std::stop_token stop) {
          while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
          for (int i = 0; i < 5000 && !ended; ++i) std::this_thread::sleep_for(1ms);
          EXPECT_TRUE(ended) << "it waited for a place";
          return 0;
        },
        [](int) { FAIL(); });
    while (!aside) std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace locald
