#include "base/sys/fs_at.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "base/strings.h"
#include "base/sys/file_lock.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

class FsAt : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-fs-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
    dir_ = *sys::open(path_, O_RDONLY | O_DIRECTORY);
  }
  void TearDown() override { (void)remove_tree(path_); }

  std::string path_;
  UniqueFd dir_;
};

TEST_F(FsAt, OpenInRootNeverLeavesIt) {
  ASSERT_EQ(::symlink("/etc/passwd", (path_ + "/evil").c_str()), 0);
  ASSERT_EQ(::symlink("../../..", (path_ + "/up").c_str()), 0);
  EXPECT_EQ(open_in_root(dir_.get(), "evil", O_RDONLY).error().code(), Errc::not_found);
  EXPECT_EQ(open_in_root(dir_.get(), "../../../../etc/passwd", O_RDONLY).error().code(),
            Errc::not_found);
  EXPECT_EQ(open_in_root(dir_.get(), "up/etc/passwd", O_RDONLY).error().code(), Errc::not_found);
}

TEST_F(FsAt, WriteFileAtomicReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(write_file_atomic(dir_.get(), "a", "one"));
  ASSERT_TRUE(write_file_atomic(path_ + "/a", "two", 0600, Durability::synced));
  EXPECT_EQ(*read_file(path_ + "/a"), "two");
  int count = 0;
  ASSERT_TRUE(list_dir(dir_.get(), [&](const std::string&, unsigned char) -> Result<void> {
    return ++count, Result<void>();
  }));
  EXPECT_EQ(count, 1);
  ASSERT_EQ(::mkdir((path_ + "/d").c_str(), 0700), 0);
  EXPECT_FALSE(write_file_atomic(dir_.get(), "d", "x"));
  count = 0;
  ASSERT_TRUE(list_dir(dir_.get(), [&](const std::string&, unsigned char) -> Result<void> {
    return ++count, Result<void>();
  }));
  EXPECT_EQ(count, 2);
}

TEST_F(FsAt, ReadAllRefusesMoreThanAllowed) {
  ASSERT_TRUE(write_file_atomic(dir_.get(), "a", std::string(5000, 'x')));
  EXPECT_EQ(read_file(path_ + "/a", 5000)->size(), 5000u);
  EXPECT_EQ(read_file(path_ + "/a", 4999).error().code(), Errc::invalid_input);
  EXPECT_TRUE(read_file("/proc/self/status"));  // size 0 by stat
}

TEST_F(FsAt, RemoveTreeTakesDeepAndLockedFoldersAndNoLinkTargets) {
  ASSERT_TRUE(write_file_atomic(dir_.get(), "keep", "x"));
  ASSERT_EQ(::mkdir((path_ + "/t").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("../keep", (path_ + "/t/link").c_str()), 0);
  UniqueFd at = *sys::open(path_ + "/t", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 3000; ++i) {  // far beyond PATH_MAX
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    at = *sys::openat(at.get(), "d", O_RDONLY | O_DIRECTORY);
  }
  ASSERT_EQ(::mkdir((path_ + "/t/locked").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((path_ + "/t/locked/in").c_str(), 0000), 0);
  ASSERT_EQ(::chmod((path_ + "/t/locked").c_str(), 0500), 0);
  const auto removed = remove_tree(path_ + "/t");
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(exists(path_ + "/t"));
  EXPECT_TRUE(exists(path_ + "/keep"));
  EXPECT_TRUE(remove_tree(path_ + "/t"));
}

TEST_F(FsAt, RemoveTreeNeedsFewDescriptorsForManyLevels) {
  ASSERT_EQ(::mkdir((path_ + "/t").c_str(), 0700), 0);
  UniqueFd at = *sys::open(path_ + "/t", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(write_file_atomic(at.get(), "file", "x"));
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    UniqueFd inner = *sys::openat(at.get(), "d", O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(::fchmod(at.get(), i % 100 == 50 ? 0500 : 0700), 0);
    at = std::move(inner);
  }
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 300;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto removed = remove_tree(path_ + "/t");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(exists(path_ + "/t"));
}

TEST_F(FsAt, TwoMayRemoveOneTree) {
  const auto remover = [this](std::string& said) {
    for (int i = 0; i < 60; ++i) {
      const auto removed = remove_tree(path_ + "/t" + std::to_string(i));
      if (!removed) said = removed.error().message();
    }
  };
  for (int i = 0; i < 60; ++i)
    for (const char* inner : {"", "/a", "/a/b", "/c"})
      ASSERT_EQ(::mkdir((path_ + "/t" + std::to_string(i) + inner).c_str(), 0700), 0);
  std::string first, second;
  std::thread other([&] { remover(second); });
  remover(first);
  other.join();
  EXPECT_EQ(first + second, "");
  EXPECT_FALSE(exists(path_ + "/t0"));
}

TEST_F(FsAt, LockFileHasOneOwner) {
  auto first = lock_file(path_ + "/lock", false);
  ASSERT_TRUE(first);
  EXPECT_EQ(lock_file(path_ + "/lock", false).error().code(), Errc::already_exists);
  first->reset();
  EXPECT_TRUE(lock_file(path_ + "/lock", false));
}

TEST_F(FsAt, SocketsWorkInFoldersOfAnyLength) {
  std::string deep = path_;
  for (int i = 0; i < 8; ++i) deep += "/a-folder-with-a-rather-long-name";
  const UniqueFd dir = *make_dirs(deep);
  const UniqueFd listener = *sys::unix_listen(dir.get(), "ctl.sock");
  const auto client = sys::unix_connect(deep + "/ctl.sock");
  ASSERT_TRUE(client) << client.error().message();
  struct stat st {};
  ASSERT_EQ(::stat((deep + "/ctl.sock").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(sys::peer_cred(client->get())->uid, ::getuid());
  EXPECT_EQ(sys::unix_connect(deep + "/none").error().code(), Errc::not_found);
}

TEST_F(FsAt, ALockOfAFileThatHasLostItsNameIsNone) {
  const std::string path = path_ + "/lock";
  auto first = lock_file(path, false);
  ASSERT_TRUE(first);
  // Somebody waits for that file; then it is unlinked, and another takes its name.
  std::optional<Result<UniqueFd>> waited;
  std::thread waiter([&] { waited = lock_file(path, true); });
  struct stat st {};
  ASSERT_EQ(::fstat(first->get(), &st), 0);
  const auto is_waited_for = [&] {
    for (const std::string& line : split(*read_file("/proc/locks"), '\n'))
      if (line.find("-> FLOCK") != std::string::npos &&
          line.find(":" + std::to_string(st.st_ino) + " ") != std::string::npos)
        return true;
    return false;
  };
  while (!is_waited_for()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_FALSE(still_named(first->get(), AT_FDCWD, path));
  first->reset();
  waiter.join();
  ASSERT_TRUE(waited && *waited);
  EXPECT_TRUE(still_named((*waited)->get(), AT_FDCWD, path));
  EXPECT_EQ(lock_file(path, false).error().code(), Errc::already_exists);
}

TEST_F(FsAt, SharedLocksOfOneNameExcludeTheOneThatIsNot) {
  auto a = lock_at(dir_.get(), "lease", true, /*shared=*/true);
  auto b = lock_at(dir_.get(), "lease", true, /*shared=*/true);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(lock_at(dir_.get(), "lease", false).error().code(), Errc::already_exists);
  // One that was unlinked is not asked: the next is the lease that everybody finds.
  ASSERT_EQ(::unlinkat(dir_.get(), "lease", 0), 0);
  EXPECT_TRUE(lock_at(dir_.get(), "lease", false));
}

}  // namespace
}  // namespace locald
