#include "base/sys/own_folders.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/fs_at.h"

namespace locald {
namespace {

class GroundTest : public ::testing::Test {
 protected:
  GroundTest() {
    char name[] = "/tmp/locald-ground-XXXXXX";
    dir = ::mkdtemp(name);
    EXPECT_TRUE(make_dirs(dir + "/a/run"));
    own = {dir + "/a/run", dir + "/missing"};
  }
  ~GroundTest() override { (void)remove_tree(dir); }

  std::shared_ptr<const Ground> ground() const { return Ground::last(own).value(); }
  FileId id_of(const std::string& path) const { return FileId::of(AT_FDCWD, path.c_str()).value(); }

  std::string dir;
  std::vector<std::string> own;
};

TEST_F(GroundTest, IsReadOnceWhileNothingChanges) {
  const auto first = ground();
  ASSERT_EQ(first->own.size(), 2u);
  EXPECT_EQ(first->own[0].path, own[0]);
  EXPECT_EQ(first->own[0].way.back(), id_of(own[0]));
  EXPECT_TRUE(first->own[1].way.empty());
  EXPECT_EQ(ground(), first);
  EXPECT_NE(Ground::last({own[0]}).value(), first) << "other folders";
}

TEST_F(GroundTest, IsReadAgainWhereAFolderOnTheWayIsAnotherOne) {
  const auto first = ground();
  // The same folder, below another one of the same name.
  ASSERT_EQ(::rename((dir + "/a").c_str(), (dir + "/b").c_str()), 0);
  ASSERT_TRUE(make_dirs(dir + "/a"));
  ASSERT_EQ(::rename((dir + "/b/run").c_str(), (dir + "/a/run").c_str()), 0);
  const auto second = ground();
  ASSERT_NE(second, first);
  EXPECT_EQ(second->own[0].way.back(), first->own[0].way.back());
  EXPECT_EQ(second->own[0].way.at(second->own[0].way.size() - 2), id_of(dir + "/a"));
  // By a link, the folder itself stays.
  ASSERT_EQ(::rename((dir + "/a").c_str(), (dir + "/c").c_str()), 0);
  ASSERT_EQ(::symlink("c", (dir + "/a").c_str()), 0);
  const auto third = ground();
  EXPECT_EQ(third->own[0].path, dir + "/c/run");
  EXPECT_EQ(ground(), third);
  ASSERT_TRUE(make_dirs(dir + "/missing"));
  EXPECT_FALSE(ground()->own[1].way.empty());
}

TEST_F(GroundTest, IsReadAgainWhereAMountHasChanged) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(77);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(77);
    const auto first = ground();
    if (ground() != first) ::_exit(1);
    if (::mount(own[0].c_str(), own[0].c_str(), nullptr, MS_BIND, nullptr) != 0) ::_exit(77);
    const auto second = ground();
    if (second == first || second->table.mounts().size() != first->table.mounts().size() + 1)
      ::_exit(2);
    ::_exit(ground() == second ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "this host lets nobody make a mount namespace here (unshare)";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(GroundTest, IsReadAgainInAChildWithMountsOfItsOwn) {
  const auto first = ground();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(ground() == first ? 1 : 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ground(), first) << "the child has not taken the word of a change";
}

}  // namespace
}  // namespace locald
