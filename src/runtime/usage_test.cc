#include "runtime/usage.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>

namespace locald::runtime {
namespace {

/// A process below this one that works for a while, has a child, then sleeps.
class Below {
 public:
  Below() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::pause();
        ::_exit(0);
      }
      volatile std::uint64_t work = 0;
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
      while (std::chrono::steady_clock::now() < end) work = work + 1;
      (void)!::write(ready[1], &child, sizeof child);
      ::pause();
      ::_exit(0);
    }
    EXPECT_EQ(::read(ready[0], &child_, sizeof child_), static_cast<ssize_t>(sizeof child_));
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Below() {
    ::kill(child_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0, child_ = 0;
};

TEST(Usage, IsTheSumOverTheProcessesBelow) {
  const Below below;
  const auto own = usage_below(::getpid());
  ASSERT_TRUE(own) << own.error().text();
  EXPECT_EQ(own->tasks, 2u);
  EXPECT_GE(own->cpu_ns, 50'000'000u);
  EXPECT_GT(own->memory, 100'000u);
  EXPECT_FALSE(own->cgroup);
  // Its own time is not that of those below: it is the shim's.
  const auto lower = usage_below(below.pid());
  ASSERT_TRUE(lower) << lower.error().text();
  EXPECT_EQ(lower->tasks, 1u);
  EXPECT_LT(lower->memory, own->memory);
}

TEST(Usage, OfNothingIsAnError) {
  EXPECT_EQ(usage_below(::getpid()).error().code(), Errc::not_found);
  EXPECT_EQ(usage_of("0123456789ab", ::getpid()).error().code(), Errc::not_found);
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
