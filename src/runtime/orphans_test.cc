#include "runtime/orphans.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/strings.h"
#include "base/sys/spawn.h"
#include "runtime/processes.h"

namespace locald::runtime {
namespace {

using namespace std::chrono_literals;

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  options.env = {"PATH=/usr/bin:/bin"};
  return options;
}

TEST(Orphans, OneOfOurOwnSessionIsReapedAndAChildThatIsWaitedForIsNot) {
  ASSERT_TRUE(become_subreaper());
  auto child = spawn(shell("exit 3"));
  ASSERT_TRUE(child);
  pollfd ended{child->pidfd(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 10'000), 1);
  // What it leaves falls to us, and never was in a session of its own.
  const auto said = run_program(shell("sleep 0.01 >/dev/null 2>&1 & echo $!"), 10s);
  ASSERT_TRUE(said) << said.error().text();
  const auto orphan = parse_u64(trim(said->out));
  ASSERT_TRUE(orphan) << said->out;
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  const auto there = [&] { return process_stat(static_cast<pid_t>(*orphan)).has_value(); };
  while (there() && std::chrono::steady_clock::now() < deadline) {
    (void)reap_orphans();
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_FALSE(there());
  const auto exit = child->wait();
  ASSERT_TRUE(exit) << exit.error().text();
  EXPECT_EQ(exit->code, 3);
}

TEST(Orphans, WhoWaitsForAChildGetsItsStatusWhileOthersReap) {
  ASSERT_TRUE(become_subreaper());
  std::atomic<bool> over = false;
  std::thread reaper([&] {
    while (!over) (void)reap_orphans();
  });
  for (int i = 0; i < 200; ++i) {
    // Of another session at once, as a shim's first process is.
    auto child = spawn(shell(i % 2 == 0 ? "exit 7" : "exec setsid sh -c 'exit 7'"));
    ASSERT_TRUE(child) << child.error().text();
    const auto exit = child->wait();
    ASSERT_TRUE(exit) << exit.error().text();
    ASSERT_EQ(exit->code, 7);
  }
  over = true;
  reaper.join();
}

}  // namespace
}  // namespace locald::runtime
