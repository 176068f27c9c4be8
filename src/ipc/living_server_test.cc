#include "ipc/living_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::ipc {
namespace {

class LivingServer : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/locald-living-XXXXXX";
    home_ = ::mkdtemp(path);
    auto paths = Paths::from_env(
        [&](const std::string& name) -> std::optional<std::string> {
          return name == "LOCALD_HOME" ? std::optional(home_) : std::nullopt;
        },
        ::getuid());
    ASSERT_TRUE(paths);
    paths_ = *paths;
    ASSERT_TRUE(paths_.create());
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    (void)remove_tree(home_);
  }

  /// Another process of that name, which holds the lasting folder.
  void hold(const char* name) {
    auto [read_end, write_end] = *sys::pipe();
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_NAME, name);
      const int fd = ::open(home_.c_str(), O_RDONLY | O_DIRECTORY);
      if (::flock(fd, LOCK_EX) == 0) (void)!::write(write_end.get(), "1", 1);
      while (true) ::pause();
    }
    write_end.reset();
    char byte = 0;
    ASSERT_EQ(::read(read_end.get(), &byte, 1), 1);
  }

  std::string home_;
  Paths paths_;
  pid_t child_ = -1;
};

TEST_F(LivingServer, IsSeenByItsLockAlsoWithoutItsFolders) {
  EXPECT_EQ(lasting_folder(paths_), home_);
  EXPECT_EQ(living_server(paths_), 0);
  hold("locald-server");
  EXPECT_EQ(living_server(paths_), child_);
  ASSERT_TRUE(remove_tree(paths_.run()));
  ASSERT_TRUE(remove_tree(paths_.state()));
  EXPECT_EQ(living_server(paths_), child_);
}

TEST_F(LivingServer, WhateverElseHoldsTheFolderIsNone) {
  hold("flock");
  EXPECT_EQ(living_server(paths_), 0);
}

TEST_F(LivingServer, IsNotThisProcess) {
  const int fd = ::open(home_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_EQ(living_server(paths_), 0);
  ::close(fd);
}

/// Makes the file `lock` on a new file system. @return its inode; 0 where none can be mounted.
ino_t on_new_filesystem(const std::string& folder, bool locked) {
  struct stat st {};
  if (::mkdir(folder.c_str(), 0755) != 0 || ::mount("t", folder.c_str(), "tmpfs", 0, nullptr) != 0)
    return 0;
  const int fd = ::open((folder + "/lock").c_str(), O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ::fstat(fd, &st) != 0 || (locked && ::flock(fd, LOCK_EX) != 0)) return 0;
  return st.st_ino;
}

TEST_F(LivingServer, AnotherUsersLockOfAFileWithTheSameNumberIsNotOurs) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: another user, and two file systems";
  enum { seen_as_ours = 1, not_mounted, numbers_differ };
  ASSERT_EQ(::chmod(home_.c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // Their mounts end with these processes.
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(not_mounted);
    const ino_t theirs = on_new_filesystem(home_ + "/theirs", /*locked=*/true);
    const std::string ours = home_ + "/ours";
    const pid_t other = ::fork();
    if (other == 0) {
      const ino_t own = on_new_filesystem(ours, /*locked=*/false);
      if (theirs == 0 || own == 0) ::_exit(not_mounted);
      if (theirs != own) ::_exit(numbers_differ);
      if (::setresuid(65534, 65534, 65534) != 0) ::_exit(not_mounted);
      if (::access((ours + "/lock").c_str(), F_OK) != 0) ::_exit(not_mounted);
      ::_exit(lock_holder(ours + "/lock") == 0 ? 0 : seen_as_ours);
    }
    int status = 0;
    ::waitpid(other, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == not_mounted) GTEST_SKIP() << "nothing can be mounted here";
  if (WEXITSTATUS(status) == numbers_differ)
    GTEST_SKIP() << "tmpfs counts its inodes otherwise here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(LivingServer, TheSignatureOfTheLockIsReadOrThereIsNone) {
  EXPECT_EQ(lock_signature(paths_).pid, 0);
  ASSERT_TRUE(write_file_atomic(paths_.state_lock(), "12 /run/user/a b\n"));
  EXPECT_EQ(lock_signature(paths_).pid, 12);
  EXPECT_EQ(lock_signature(paths_).run, "/run/user/a b");
  for (const char* other : {"", "12", "x /run", "\n"}) {
    ASSERT_TRUE(write_file_atomic(paths_.state_lock(), other));
    EXPECT_EQ(lock_signature(paths_).pid, 0) << other;
  }
}

TEST_F(LivingServer, TheWayOutFitsWhatItDoes) {
  hold("locald-server");
  const std::string number = std::to_string(child_);
  EXPECT_NE(way_out(paths_, child_).find("kill -KILL " + number), std::string::npos);
  ASSERT_EQ(::kill(child_, SIGSTOP), 0);
  ASSERT_EQ(::waitpid(child_, nullptr, WUNTRACED), child_);
  EXPECT_NE(way_out(paths_, child_).find("kill -CONT " + number), std::string::npos);
  EXPECT_NE(way_out(paths_, 0).find(paths_.server_log()), std::string::npos);
}

}  // namespace
}  // namespace locald::ipc
