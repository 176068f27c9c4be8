#include "cnb/source/staging.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "cnb/source/path_filter.h"
#include "cnb/test_folder.h"

namespace locald::cnb {
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
  /// The staging that is not possible, as `have` says it.
  Errc refused(const SourceIndex& want, const SourceIndex& have) {
    const auto staged =
        stage_source(source_.opened(), want, &have, target_.path(), ::getuid(), ::getgid());
    return staged ? Errc::failed : staged.error().code();
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

TEST_F(Staging, AChangeInAFolderCostsNothingElse) {
  source_.write("d/changed", "1");
  source_.write("d/gone", "1");
  source_.write("d/same", "1");
  const SourceIndex before = scan();
  stage(before);
  source_.write("d/changed", "2");
  ASSERT_EQ(::unlink((source_ / "d/gone").c_str()), 0);
  SourceIndex now = scan();
  ASSERT_EQ(stage(now, &before).copied, 1u);
  const SourceIndex then = std::exchange(now, [&] {
    source_.write("d/changed", "3");
    ::chmod((source_ / "d").c_str(), 0700);
    return scan();
  }());
  EXPECT_EQ(stage(now, &then).copied, 2u) << "the file, and the folder's mode";
  EXPECT_EQ(target_.read("d/changed"), "3");
  EXPECT_FALSE(exists(target_ / "d/gone"));
  EXPECT_EQ(stage(now, &now).copied, 0u);
}

TEST_F(Staging, SeesThatACopyHoldsMoreThanItsIndexSays) {
  source_.write("d/e", "1");
  const SourceIndex index = scan();
  stage(index);
  target_.write("d/more", "x");
  EXPECT_EQ(refused(index, index), Errc::corrupt);
  ASSERT_TRUE(remove_tree(target_ / "d"));
  ASSERT_TRUE(remove_tree(target_ / "more"));
  stage(index);
  EXPECT_EQ(stage(index, &index).copied, 0u);
  target_.write("more", "x");
  EXPECT_EQ(refused(index, index), Errc::corrupt) << "at the top too";
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

TEST_F(Staging, WhatGoesWhileItIsCopiedLeavesNothingInTheCopy) {
  const std::string big(64u << 20, 'x');
  for (int tries = 0; tries < 50; ++tries) {
    source_.write("a", "1");
    source_.write("big", big);
    const SourceIndex index = scan();
    std::thread remover([&] {
      while (!exists(target_ / "big")) std::this_thread::yield();
      ::unlink((source_ / "big").c_str());
    });
    const Staged staged = stage(index);
    remover.join();
    if (staged.changed.empty()) {  // it was copied before it went
      ASSERT_TRUE(remove_tree(target_ / "a"));
      ASSERT_TRUE(remove_tree(target_ / "big"));
      continue;
    }
    EXPECT_EQ(staged.changed, std::vector<std::string>{"big"});
    EXPECT_FALSE(exists(target_ / "big")) << "no index says that it is there: it would never go";
    EXPECT_TRUE(exists(target_ / "a"));
    return;
  }
  FAIL() << "a copy of 64 MiB is always faster than a removal";
}

TEST_F(Staging, DoesNotTakeWhatWasWrittenInTheScansTickForWhatWasScanned) {
  source_.write("a", "one");
  SourceIndex index = scan();
  source_.write("a", "two");
  const struct stat st = source_.stat("a");
  SourceEntry& entry = index.entries[0];
  ASSERT_EQ(entry.inode, st.st_ino);
  // As a clock that ticks every 10 ms dates both.
  entry.mtime_ns = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
  entry.ctime_ns = index.taken_ns = st.st_ctim.tv_sec * 1'000'000'000LL + st.st_ctim.tv_nsec;
  EXPECT_EQ(stage(index).changed, std::vector<std::string>{"a"});
  EXPECT_FALSE(exists(target_ / "a"));
  EXPECT_TRUE(stage(scan()).changed.empty());
  EXPECT_EQ(target_.read("a"), "two");
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
}  // namespace locald::cnb
