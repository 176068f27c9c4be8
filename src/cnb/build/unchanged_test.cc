#include "cnb/build/unchanged.h"

#include <gtest/gtest.h>

#include <functional>

#include "cnb/test_folder.h"

namespace locald::cnb {
namespace {

class Unchanged : public ::testing::Test {
 protected:
  void SetUp() override {
    top_.write("build/layers/b/l/bin/tool", "x", 0755);
    top_.write("build/layers/b/l/lib", "y");
    app_.emplace(
        AppFolder::open({.top = top_.path(), .uid = ::getuid(), .gid = ::getgid()}).value());
  }
  /// What unchanged_since() says after `change`.
  bool after(const std::function<void()>& change) {
    const ChangeMark mark = mark_now(*app_).value();
    change();
    return unchanged_since(mark, *app_, "build/layers/b/l").value();
  }
  TestFolder top_;
  std::optional<AppFolder> app_;
};

TEST_F(Unchanged, IsTrueWhereNothingHappened) {
  EXPECT_TRUE(after([] {}));
  EXPECT_TRUE(after([&] { (void)top_.read("build/layers/b/l/lib"); })) << "reading changes nothing";
  EXPECT_TRUE(after([&] { top_.write("build/layers/b/other", "x"); })) << "beside it";
}

TEST_F(Unchanged, SeesEveryKindOfChange) {
  const std::string l = top_ / "build/layers/b/l";
  EXPECT_FALSE(after([&] { top_.write("build/layers/b/l/lib", "z"); })) << "content";
  EXPECT_FALSE(after([&] { top_.write("build/layers/b/l/bin/new", ""); })) << "a new file";
  EXPECT_FALSE(after([&] { ::unlink((l + "/bin/new").c_str()); })) << "a deletion";
  EXPECT_FALSE(after([&] { ::chmod((l + "/lib").c_str(), 0600); })) << "a mode";
  EXPECT_FALSE(after([&] { ::rename((l + "/lib").c_str(), (l + "/lob").c_str()); })) << "a name";
  EXPECT_FALSE(after([&] { ::chmod(l.c_str(), 0700); })) << "the folder itself";
  EXPECT_FALSE(after([&] {
    top_.write("build/layers/b/l/lob", "other");
    const timespec times[2] = {{1, 0}, {1, 0}};
    ::utimensat(AT_FDCWD, (l + "/lob").c_str(), times, 0);
  })) << "also where its time was set back";
}

TEST_F(Unchanged, DoesNotBelieveAClockThatWasSet) {
  ChangeMark mark = mark_now(*app_).value();
  mark.clock_ns -= 60'000'000'000;
  EXPECT_FALSE(unchanged_since(mark, *app_, "build/layers/b/l").value());
}

}  // namespace
}  // namespace locald::cnb
