#include "base/sys/set_aside.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string>

#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"

namespace locald {
namespace {

class SetAside : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/locald-aside-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { (void)remove_tree(dir_); }

  std::string dir_;
};

TEST_F(SetAside, FilesAndFoldersOfOneSecondAreAllKept) {
  const std::string path = dir_ + "/record";
  std::set<std::string> names;
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0)
      ASSERT_TRUE(write_file_atomic(path, "{"));
    else
      ASSERT_TRUE(make_dirs(path + "/inside"));
    const auto other = set_aside(AT_FDCWD, path);
    ASSERT_TRUE(other) << other.error().text();
    EXPECT_FALSE(exists(path));
    EXPECT_TRUE(exists(*other));
    names.insert(*other);
  }
  EXPECT_EQ(names.size(), 6u);
}

TEST_F(SetAside, NothingIsNothing) { EXPECT_EQ(*set_aside(AT_FDCWD, dir_ + "/record"), ""); }

TEST_F(SetAside, AFolderInPlaceOfALockIsNobodys) {
  ASSERT_TRUE(make_dirs(dir_ + "/lock/inside"));
  const auto lock = lock_file(dir_ + "/lock", /*wait=*/false);
  ASSERT_TRUE(lock) << lock.error().text();
  EXPECT_TRUE(still_named(lock->get(), AT_FDCWD, dir_ + "/lock"));
  EXPECT_FALSE(lock_file(dir_ + "/lock", /*wait=*/false));
}

TEST_F(SetAside, ALinkOrAPipeInPlaceOfALockIsNobodys) {
  ASSERT_EQ(::symlink("/no/such/file", (dir_ + "/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ + "/pipe").c_str(), 0600), 0);
  for (const std::string name : {"/link", "/pipe"}) {
    const auto lock = lock_file(dir_ + name, /*wait=*/false);
    ASSERT_TRUE(lock) << lock.error().text();
    struct stat st {};
    ASSERT_EQ(::lstat((dir_ + name).c_str(), &st), 0);
    EXPECT_TRUE(S_ISREG(st.st_mode)) << name;
  }
}

TEST_F(SetAside, APipeThatNobodyWritesToIsAnEmptyFile) {
  ASSERT_EQ(::mkfifo((dir_ + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(*read_file(dir_ + "/pipe"), "");
}

}  // namespace
}  // namespace locald
