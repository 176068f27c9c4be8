// The server's own folders, deleted under it: who holds the lock, who notices.
#include "server/state/run_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"
#include "server/state/server_lock.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    std::string name = "/tmp/locald-run-XXXXXX";
    home = ::mkdtemp(name.data());
  }
  ~RunFolderTest() override { (void)remove_tree(home); }
  /// Of one state folder, with a run folder of its own.
  Paths paths(const std::string& run) {
    Paths made = *Paths::from_env(
        [&](const std::string& n) -> std::optional<std::string> {
          if (n == "HOME") return home;
          if (n == "XDG_RUNTIME_DIR") return home + "/" + run;
          return std::nullopt;
        },
        1000);
    EXPECT_TRUE(make_dirs(home + "/" + run));
    EXPECT_TRUE(made.create());
    return made;
  }

  std::string home;
  EventLoop loop;
};

TEST_F(RunFolderTest, OneServerForAStateFolderWhateverTheRunFolder) {
  const Paths one = paths("a"), two = paths("b");
  auto first = ServerLock::take(one);
  ASSERT_TRUE(first) << first.error().text();
  EXPECT_EQ(ServerLock::take(one).error().code(), Errc::already_exists);
  const auto second = ServerLock::take(two);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::already_exists);
  EXPECT_NE(second.error().message().find(std::to_string(::getpid())), std::string::npos);
  EXPECT_NE(second.error().message().find(one.run()), std::string::npos);
  EXPECT_FALSE(exists(two.server_lock()));
}

TEST_F(RunFolderTest, ADeletedRunFolderGivesNoLockAway) {
  const Paths p = paths("a");
  auto lock = ServerLock::take(p);
  ASSERT_TRUE(lock);
  ASSERT_TRUE(remove_tree(p.run()));
  ASSERT_TRUE(p.create());
  EXPECT_EQ(ServerLock::take(p).error().code(), Errc::already_exists);
  ASSERT_TRUE(lock->renew(p));
  EXPECT_EQ(lock_file(p.server_lock(), false).error().code(), Errc::already_exists);
  ASSERT_EQ(::unlink(p.state_lock().c_str()), 0);
  ASSERT_TRUE(lock->renew(p));
  EXPECT_EQ(lock_file(p.state_lock(), false).error().code(), Errc::already_exists);
}

TEST_F(RunFolderTest, NoticesWhatIsDeletedAndTriesUntilItIsWrittenBack) {
  const Paths p = paths("a");
  ASSERT_TRUE(make_dirs(p.run_projects()));
  int calls = 0;
  bool possible = true;
  std::vector<std::string> said;
  RunFolder folder(
      loop, p,
      [&]() -> Result<void> {
        ++calls;
        if (!possible) return Error(Errc::denied, "not now");
        (void)TRY(make_dirs(p.run_projects()));
        return {};
      },
      [&](const std::string& text) { said.push_back(text); });
  run_for(loop);
  EXPECT_EQ(calls, 0);
  ASSERT_TRUE(remove_tree(p.run()));
  run_until(loop, [&] { return calls == 1; });
  EXPECT_TRUE(exists(p.run_projects()));
  // The new one is watched, too.
  possible = false;
  ASSERT_TRUE(remove_tree(p.run()));
  run_until(loop, [&] { return calls == 2; });
  EXPECT_EQ(said.size(), 1u);
  possible = true;
  // Who wants a server opens its lock, and makes it look at once.
  (void)lock_file(p.state_lock(), false);
  run_until(loop, [&] { return calls == 3; });
  EXPECT_TRUE(exists(p.run_projects()));
}

}  // namespace
}  // namespace locald::server
