#include "runtime/usage.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>

namespace locald::runtime {
namespace {

/// What stands for a shim: a process with one below it that works for a while and then sleeps,
/// with a child. Not the test's own process, which has children of other tests too.
class Tree {
 public:
  Tree() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    if ((pids_.top = ::fork()) == 0) {
      Pids pids{::getpid(), ::fork(), 0};
      if (pids.worker != 0) sleep_for_ever();
      pids.worker = ::getpid();
      if ((pids.child = ::fork()) == 0) sleep_for_ever();
      volatile std::uint64_t work = 0;
      // Of its own processor time: others may have the processors for as long as they like.
      while (std::clock() < CLOCKS_PER_SEC / 5) work = work + 1;
      (void)!::write(ready[1], &pids, sizeof pids);
      sleep_for_ever();
    }
    const pid_t top = pids_.top;
    EXPECT_EQ(::read(ready[0], &pids_, sizeof pids_), static_cast<ssize_t>(sizeof pids_));
    pids_.top = top;
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Tree() {
    // From below: each is still there for as long as the one above it has not ended. The last two
    // are then children of this process, where another test has made it adopt orphans.
    for (const pid_t pid : {pids_.child, pids_.worker, pids_.top})
      if (pid > 0) ::kill(pid, SIGKILL);
    for (const pid_t pid : {pids_.top, pids_.worker, pids_.child})
      if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
  pid_t top() const { return pids_.top; }
  pid_t worker() const { return pids_.worker; }
  pid_t child() const { return pids_.child; }

 private:
  struct Pids {
    pid_t top = 0, worker = 0, child = 0;
  };
  [[noreturn]] static void sleep_for_ever() {
    for (;;) ::pause();
  }
  Pids pids_;
};

TEST(Usage, IsTheSumOverTheProcessesBelow) {
  const Tree tree;
  const auto all = usage_below(tree.top());
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(all->tasks, 2u);
  EXPECT_GE(all->cpu_ns, 50'000'000u);
  EXPECT_GT(all->memory, 100'000u);
  EXPECT_FALSE(all->cgroup);
  // Its own time is not that of those below: it is the shim's.
  const auto lower = usage_below(tree.worker());
  ASSERT_TRUE(lower) << lower.error().text();
  EXPECT_EQ(lower->tasks, 1u);
  EXPECT_LT(lower->memory, all->memory);
}

TEST(Usage, OfNothingIsAnError) {
  const Tree tree;
  const auto below = usage_below(tree.child());
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().code(), Errc::not_found);
  const auto instance = usage_of("0123456789ab", tree.child());
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code(), Errc::not_found);
}

std::optional<Usage> of_files(const std::map<std::string, std::string>& files) {
  return usage_of_cgroup([&](std::string_view controller, std::string_view name) {
    const auto at =
        files.find((controller.empty() ? "" : std::string(controller) + "/") + std::string(name));
    return at == files.end() ? std::string() : at->second;
  });
}

TEST(Usage, OfACgroupV2) {
  const auto usage =
      of_files({{"cpu.stat", "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n"},
                {"memory.current", "4096\n"},
                {"pids.current", "3\n"},
                {"io.stat", "8:0 rbytes=100 wbytes=10 rios=1\n8:16 rbytes=200 wbytes=5 rios=2\n"}});
  ASSERT_TRUE(usage);
  EXPECT_TRUE(usage->cgroup);
  EXPECT_EQ(usage->cpu_ns, 2'500'000u);
  EXPECT_EQ(usage->memory, 4096u);
  EXPECT_EQ(usage->tasks, 3u);
  EXPECT_EQ(usage->read, 300u);
  EXPECT_EQ(usage->written, 15u);
}

TEST(Usage, OfACgroupV1) {
  const std::map<std::string, std::string> files = {
      {"cpuacct/cpuacct.usage", "77\n"},
      {"memory/memory.usage_in_bytes", "8192\n"},
      {"pids/pids.current", "2\n"},
      {"blkio/blkio.throttle.io_service_bytes", "8:0 Read 5\n8:0 Write 6\n8:0 Total 11\n"}};
  const auto usage = of_files(files);
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_ns, 77u);
  EXPECT_EQ(usage->memory, 8192u);
  EXPECT_EQ(usage->read, 5u);
  EXPECT_EQ(usage->written, 6u);
  // A kernel that counts no processor time there: the processes tell.
  auto without = files;
  without.erase("cpuacct/cpuacct.usage");
  EXPECT_FALSE(of_files(without));
}

}  // namespace
}  // namespace locald::runtime
