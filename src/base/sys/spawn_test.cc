#include "base/sys/spawn.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

using namespace std::chrono_literals;

SpawnOptions shell(const std::string& script) {
  SpawnOptions o;
  o.argv = {"/bin/sh", "-c", script};
  o.env = {"PATH=/usr/bin:/bin"};
  return o;
}

TEST(Spawn, GivesExactExitsAndOutputs) {
  const auto out = run_program(shell("echo out; echo err >&2; exit 42"), 5s);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(out->exit.code, 42);
  EXPECT_EQ(out->out, "out\n");
  EXPECT_EQ(out->err, "err\n");
  EXPECT_EQ(run_program(shell("kill -SEGV $$"), 5s)->exit.signal, SIGSEGV);
}

TEST(Spawn, PassesOnlyWhatIsNamed) {
  auto [read, write] = *sys::pipe();
  SpawnOptions o = shell("env | sort; ls /proc/self/fd; pwd");
  o.env.push_back("A=1");
  o.fds = {{write.get(), 5}};
  const auto out = run_program(o, 5s);
  ASSERT_TRUE(out);
  // ls has 0 to 2, our 5, and one of its own for the folder
  EXPECT_EQ(out->out, "A=1\nPATH=/usr/bin:/bin\nPWD=/\n0\n1\n2\n3\n5\n/\n");
}

TEST(Spawn, ALowLimitOfDescriptorsIsEnoughOrIsSaid) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto with_limit = [&](rlim_t number) {
    SpawnOptions o = shell("exit 0");
    const auto [read, write] = *sys::pipe();
    o.fds = {{write.get(), 40}};
    rlimit few = before;
    few.rlim_cur = number;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    auto out = run_program(o, 5s);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    return out;
  };
  const auto enough = with_limit(60);
  ASSERT_TRUE(enough) << enough.error().text();
  EXPECT_EQ(enough->exit.code, 0);
  const auto too_few = with_limit(40);
  ASSERT_FALSE(too_few);
  EXPECT_EQ(too_few.error().sys_errno(), EMFILE);
}

TEST(Spawn, AStartThatFailedForWantOfADescriptorHasRunNothing) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  std::string folder = ::testing::TempDir() + "spawn.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  rlimit few = before;
  few.rlim_cur = 60;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  // Takes descriptors and gives them back, all the time, as a server's other threads do.
  std::jthread others([](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<UniqueFd> taken;
      while (taken.size() < 60) {
        UniqueFd fd(::dup(STDERR_FILENO));
        if (!fd) break;
        taken.push_back(std::move(fd));
      }
    }
  });
  std::size_t started = 0, failed = 0;
  for (int round = 0; round < 800; ++round) {
    // As a shim does: it only forks, and what it has forked runs on.
    auto child = spawn(shell(": >" + folder + "/" + std::to_string(round) + " & wait"));
    (child ? started : failed) += 1;
    if (child) {
      EXPECT_TRUE(child->wait(std::chrono::steady_clock::now() + 5s));
    }
  }
  others = {};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_GT(failed, 0U);
  const std::filesystem::directory_iterator ran(folder);
  EXPECT_EQ(static_cast<std::size_t>(std::distance(begin(ran), end(ran))), started);
  (void)remove_tree(folder);
}

TEST(Spawn, SaysWhyAProgramCannotRun) {
  SpawnOptions o;
  o.argv = {"/nonexistent"};
  EXPECT_EQ(spawn(o).error().code(), Errc::not_found);
  o.argv = {"/etc/passwd"};
  EXPECT_EQ(spawn(o).error().code(), Errc::denied);
}

TEST(Spawn, EndsAtTheDeadlineOrWhenStopped) {
  EXPECT_EQ(run_program(shell("exec sleep 100"), 50ms).error().code(), Errc::timed_out);
  std::stop_source stop;
  std::thread later([&] {
    std::this_thread::sleep_for(30ms);
    stop.request_stop();
  });
  EXPECT_EQ(run_program(shell("exec sleep 100"), 60s, 100, stop.get_token()).error().code(),
            Errc::cancelled);
  later.join();
}

TEST(Spawn, KeepsABoundedOutputOfAnUnboundedOne) {
  const auto out = run_program(shell("head -c 1000000 /dev/zero"), 5s, 1000);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->out.size(), 1000u);
  EXPECT_TRUE(out->exit.ok());
}

TEST(Spawn, DroppedChildIsKilledAndReaped) {
  pid_t pid = 0;
  {
    SpawnOptions o = shell("exec sleep 100");
    auto child = spawn(o);
    ASSERT_TRUE(child);
    pid = child->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(FindProgram, SearchesThePathForExecutables) {
  EXPECT_EQ(find_program("sh", "/nowhere:/bin"), "/bin/sh");
  EXPECT_EQ(find_program("passwd", "/etc"), std::nullopt);
  EXPECT_EQ(find_program("/bin/sh", ""), "/bin/sh");
}

}  // namespace
}  // namespace locald
