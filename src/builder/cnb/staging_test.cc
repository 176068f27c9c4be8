#include "builder/cnb/staging.h"

#include <gtest/gtest.h>

#include "builder/cnb/path_filter.h"
#include "builder/cnb/test_folder.h"

namespace locald::builder::cnb {
namespace {

class Staging : public ::testing::Test {
 protected:
  SourceIndex scan() {
    return scan_source(source_.opened(), PathFilter::exclude({}), nullptr, {}).value();
  }
  Staged stage(const SourceIndex& want, const SourceIndex* have = nullptr) {
    auto staged =
        stage_source(source_.opened(), want, have, target_.path(), ::getuid(), ::getgid());
    EXPECT_TRUE(staged) << (staged ? "" : staged.error().text());
    return staged ? std::move(*staged) : Staged();
  }
  TestFolder source_, target_;
};

TEST_F(Staging, CopiesContentModesAndLinksWithOneTime) {
  source_.write("a", "one", 0755);
  source_.write("d/e/f", "two", 0600);
  ASSERT_EQ(::symlink("/etc/passwd", (source_ / "link").c_str()), 0);
  ASSERT_EQ(::mkdir((source_ / "empty").c_str(), 0750), 0);
  const Staged staged = stage(scan());
  EXPECT_TRUE(staged.changed.empty());
  EXPECT_EQ(target_.read("a"), "one");
  EXPECT_EQ(target_.read("d/e/f"), "two");
  EXPECT_EQ(target_.stat("a").st_mode & 07777, 0755u);
  EXPECT_EQ(target_.stat("d/e/f").st_mode & 07777, 0600u);
  EXPECT_EQ(target_.stat("empty").st_mode & 07777, 0750u);
  EXPECT_TRUE(S_ISLNK(target_.stat("link").st_mode)) << "kept as it is, also where it leads out";
  for (const char* path : {"a", "d", "d/e", "d/e/f", "link", "empty", "."})
    EXPECT_EQ(target_.stat(path).st_mtim.tv_sec, kNormalTime) << path;
}

TEST_F(Staging, TouchesOnlyWhatHasChanged) {
  source_.write("same", "s");
  source_.write("changed", "1");
  source_.write("gone/x", "g");
  source_.write("d/e", "e");
  const SourceIndex before = scan();
  stage(before);
  const ino_t inode = target_.stat("same").st_ino;
  source_.write("changed", "2");
  source_.write("d/new", "n");
  ASSERT_TRUE(remove_tree(source_ / "gone"));
  const SourceIndex now = scan();
  const Staged staged = stage(now, &before);
  EXPECT_EQ(staged.copied, 2u);
  EXPECT_EQ(target_.stat("same").st_ino, inode);
  EXPECT_EQ(target_.read("changed"), "2");
  EXPECT_EQ(target_.read("d/new"), "n");
  EXPECT_FALSE(exists(target_ / "gone"));
  EXPECT_EQ(target_.stat("d").st_mtim.tv_sec, kNormalTime);
}

TEST_F(Staging, ExchangesKinds) {
  source_.write("x", "file");
  ASSERT_EQ(::symlink("x", (source_ / "y").c_str()), 0);
  source_.write("z/inside", "1");
  const SourceIndex before = scan();
  stage(before);
  ASSERT_EQ(::unlink((source_ / "x").c_str()), 0);
  source_.write("x/below", "folder now");
  ASSERT_EQ(::unlink((source_ / "y").c_str()), 0);
  source_.write("y", "file now");
  ASSERT_TRUE(remove_tree(source_ / "z"));
  ASSERT_EQ(::symlink("x", (source_ / "z").c_str()), 0);
  stage(scan(), &before);
  EXPECT_EQ(target_.read("x/below"), "folder now");
  EXPECT_EQ(target_.read("y"), "file now");
  EXPECT_TRUE(S_ISLNK(target_.stat("z").st_mode));
}

TEST_F(Staging, TellsWhatChangedUnderItsHands) {
  source_.write("a", "1");
  source_.write("b", "1");
  ASSERT_EQ(::symlink("a", (source_ / "l").c_str()), 0);
  const SourceIndex index = scan();
  source_.write("a", "22");
  ASSERT_EQ(::unlink((source_ / "b").c_str()), 0);
  ASSERT_EQ(::unlink((source_ / "l").c_str()), 0);
  ASSERT_EQ(::symlink("b", (source_ / "l").c_str()), 0);
  EXPECT_EQ(stage(index).changed, (std::vector<std::string>{"a", "b", "l"}));
}

TEST_F(Staging, DoesNotFollowASymlinkThatTookAFoldersPlace) {
  TestFolder elsewhere;
  elsewhere.write("f", "not ours");
  source_.write("d/f", "1");
  const SourceIndex index = scan();
  ASSERT_TRUE(remove_tree(source_ / "d"));
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (source_ / "d").c_str()), 0);
  EXPECT_EQ(stage(index).changed, std::vector<std::string>{"d/f"});
}

}  // namespace
}  // namespace locald::builder::cnb
