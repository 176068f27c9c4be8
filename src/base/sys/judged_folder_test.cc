#include "base/sys/judged_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/fs_at.h"

namespace locald {
namespace {

class JudgedFolder : public testing::Test {
 protected:
  JudgedFolder() {
    char name[] = "/tmp/locald-made-XXXXXX";
    top_ = ::mkdtemp(name);
    (void)make_dirs(top_ + "/src", 0755).value();
    (void)make_dirs(top_ + "/elsewhere", 0755).value();
    (void)::symlink("../elsewhere", (top_ + "/src/link").c_str());
  }
  ~JudgedFolder() override { (void)remove_tree(top_); }
  PathJudge judge(bool shared) const {
    const Paths paths =
        Paths::from_env(
            [&](const std::string& n) {
              return n == "LOCALD_HOME" ? std::optional(top_ + "/home") : std::nullopt;
            },
            1000)
            .value();
    if (!shared) return {paths, {}};
    return {paths, {{top_ + "/src", "service a of project p"}}};
  }
  std::string top_;
};

TEST_F(JudgedFolder, IsMadeWithWhatIsMissingAboveIt) {
  const MadeFolder made = make_judged_folder(judge(true), top_ + "/src/a/b/", 0755).value();
  EXPECT_TRUE(made.made);
  EXPECT_EQ(made.folder.path, top_ + "/src/a/b");
  EXPECT_FALSE(make_judged_folder(judge(true), top_ + "/src/a/b", 0755).value().made);
  ASSERT_TRUE(make_judged_folder(judge(false), top_ + "/src/link/c", 0755));
  EXPECT_TRUE(exists(top_ + "/elsewhere/c"));
}

TEST_F(JudgedFolder, IsNotMadeBehindALinkThatAContainerMayHaveMade) {
  EXPECT_EQ(make_judged_folder(judge(true), top_ + "/src/link/c", 0755).error().code(),
            Errc::denied);
  EXPECT_FALSE(exists(top_ + "/elsewhere/c"));
  EXPECT_EQ(judged_parent(judge(true), top_ + "/src/link/file").error().code(), Errc::denied);
}

TEST_F(JudgedFolder, HasAParentAndAName) {
  const JudgedParent parent = judged_parent(judge(true), top_ + "/src/file.tar").value();
  EXPECT_EQ(parent.folder.path, top_ + "/src");
  EXPECT_EQ(parent.name, "file.tar");
  EXPECT_EQ(judged_parent(judge(true), top_ + "/src/dir//").value().name, "dir");
  EXPECT_EQ(judged_parent(judge(true), top_ + "/none/file").error().code(), Errc::not_found);
}

}  // namespace
}  // namespace locald
