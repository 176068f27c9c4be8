#include "builder/file_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

class FileCopyTest : public testing::Test {
 protected:
  FileCopyTest() {
    char name[] = "/tmp/locald-copy-XXXXXX";
    dir_ = ::mkdtemp(name);
    for (const char* folder : {"/from", "/to", "/outside"})
      EXPECT_TRUE(make_dirs(dir_ + folder, 0755));
    from_ = std::move(sys::open(dir_ + "/from", O_RDONLY | O_DIRECTORY)).value();
    to_ = std::move(sys::open(dir_ + "/to", O_RDONLY | O_DIRECTORY)).value();
  }
  ~FileCopyTest() override { (void)remove_tree(dir_); }

  void write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    EXPECT_TRUE(write_file_atomic(dir_ + "/" + path, text, mode));
  }
  std::string read(const std::string& path) {
    return read_file(dir_ + "/" + path).value_or("nothing");
  }
  mode_t mode(const std::string& path) {
    struct stat st {};
    return ::lstat((dir_ + "/" + path).c_str(), &st) == 0 ? st.st_mode & 07777u : 0;
  }
  void link(const std::string& target, const std::string& path) {
    EXPECT_EQ(::symlink(target.c_str(), (dir_ + "/" + path).c_str()), 0);
  }

  std::string dir_;
  UniqueFd from_, to_;
};

TEST_F(FileCopyTest, AFolderWithAllBelowIt) {
  EXPECT_TRUE(make_dirs(dir_ + "/from/app/deep", 0755));
  write("from/app/run", "#!", 06755);
  write("from/app/deep/secret", "x", 0600);
  link("../run", "from/app/deep/link");
  ASSERT_EQ(::mkfifo((dir_ + "/from/app/pipe").c_str(), 0600), 0);
  const auto done = copy_entry(from_.get(), "app", to_.get(), "copy", {});
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->entries, 5u);
  EXPECT_EQ(done->bytes, 3u);
  EXPECT_EQ(done->left_out, 1u);
  EXPECT_EQ(read("to/copy/run"), "#!");
  EXPECT_EQ(mode("to/copy/run"), 0755u) << "setuid and setgid stay behind";
  EXPECT_EQ(mode("to/copy/deep/secret"), 0600u);
  char target[16] = {};
  ASSERT_EQ(::readlink((dir_ + "/to/copy/deep/link").c_str(), target, 15), 6);
  EXPECT_STREQ(target, "../run");
}

TEST_F(FileCopyTest, IntoWhatIsThere) {
  EXPECT_TRUE(make_dirs(dir_ + "/from/app", 0700));
  EXPECT_TRUE(make_dirs(dir_ + "/to/app", 0755));
  write("from/app/new", "new");
  write("from/app/both", "new");
  write("to/app/both", "old");
  write("to/app/old", "old");
  ASSERT_TRUE(copy_entry(from_.get(), "app", to_.get(), "app", {}));
  EXPECT_EQ(read("to/app/new") + read("to/app/both") + read("to/app/old"), "newnewold");
  EXPECT_EQ(mode("to/app"), 0755u) << "a folder that existed keeps its mode";
  write("to/file", "x");
  EXPECT_EQ(copy_entry(from_.get(), "app", to_.get(), "file", {}).error().code(),
            Errc::already_exists);
  write("from/file", "x");
  EXPECT_EQ(copy_entry(from_.get(), "file", to_.get(), "app", {}).error().code(),
            Errc::already_exists);
  EXPECT_EQ(copy_entry(from_.get(), "none", to_.get(), "x", {}).error().code(), Errc::not_found);
  EXPECT_EQ(names_in(dir_ + "/to").size(), 2u) << "no half of a file is left";
}

TEST_F(FileCopyTest, NoLinkLeadsOut) {
  write("outside/secret", "secret");
  // On the way in: what has the target's name is a link of the other side's.
  EXPECT_TRUE(make_dirs(dir_ + "/from/a", 0755));
  write("from/a/secret", "mine");
  write("from/file", "mine");
  link(dir_ + "/outside", "to/a");
  link(dir_ + "/outside/secret", "to/file");
  EXPECT_EQ(copy_entry(from_.get(), "a", to_.get(), "a", {}).error().code(), Errc::already_exists);
  ASSERT_TRUE(copy_entry(from_.get(), "file", to_.get(), "file", {}));
  EXPECT_EQ(read("outside/secret"), "secret");
  EXPECT_EQ(read("to/file"), "mine") << "the link is replaced";
  // On the way out: links go along as links.
  link(dir_ + "/outside", "from/a/out");
  ASSERT_TRUE(copy_entry(from_.get(), "a", to_.get(), "b", {}));
  struct stat st {};
  ASSERT_EQ(::lstat((dir_ + "/to/b/out").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
}

TEST_F(FileCopyTest, ATargetThatLiesInItsSourceEnds) {
  EXPECT_TRUE(make_dirs(dir_ + "/from/inner", 0755));
  write("from/file", "x");
  const UniqueFd inner =
      std::move(sys::openat(from_.get(), "inner", O_RDONLY | O_DIRECTORY)).value();
  ASSERT_TRUE(copy_contents(from_.get(), inner.get(), {}));
  EXPECT_EQ(read("from/inner/file"), "x");
  EXPECT_EQ(names_in(dir_ + "/from/inner").size(), 1u);
}

TEST_F(FileCopyTest, TheKernelsFilesAreReadToTheirEnd) {
  const UniqueFd proc = std::move(sys::open("/proc/self", O_RDONLY | O_DIRECTORY)).value();
  ASSERT_TRUE(copy_entry(proc.get(), "status", to_.get(), "status", {}));
  EXPECT_NE(read("to/status").find("Name:"), std::string::npos);
  const UniqueFd root = std::move(sys::open("/", O_RDONLY | O_DIRECTORY)).value();
  const auto left = copy_entry(root.get(), "proc", to_.get(), "proc", {});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->left_out, 1u) << "a tree of the kernel's has no end";
}

}  // namespace
}  // namespace locald::builder
