#include "builder/volumes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

class Volumes : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/locald-volumes-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
  }
  void TearDown() override { (void)remove_tree(top_); }
  struct stat stat_of(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::lstat((top_ + path).c_str(), &st), 0) << path;
    return st;
  }
  Paths paths() {
    return Paths::from_env(
               [&](const std::string& n) {
                 return n == "LOCALD_HOME" ? std::optional(top_ + "/home") : std::nullopt;
               },
               1000)
        .value();
  }
  std::string top_;
};

TEST_F(Volumes, StartWithTheContentThatTheImageHas) {
  ASSERT_EQ(::mkdir((top_ + "/src").c_str(), 0750), 0);
  ASSERT_EQ(::mkdir((top_ + "/src/sub").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((top_ + "/src/sub").c_str(), 01777), 0);
  ASSERT_TRUE(write_file_atomic(top_ + "/src/sub/file", "content", 0640));
  ASSERT_EQ(::chmod((top_ + "/src/sub/file").c_str(), 04711), 0);
  const bool xattrs = ::setxattr((top_ + "/src/sub/file").c_str(), "user.note", "n", 1, 0) == 0;
  ASSERT_EQ(::link((top_ + "/src/sub/file").c_str(), (top_ + "/src/same").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (top_ + "/src/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((top_ + "/src/fifo").c_str(), 0600), 0);
  const struct timespec times[2] = {{1000, 5}, {2000, 7}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (top_ + "/src/sub").c_str(), times, 0), 0);

  const UniqueFd source = sys::open(top_ + "/src", O_PATH | O_DIRECTORY).value();
  EXPECT_EQ(make_volume(source.get(), top_ + "/store/p/v").value(), 5u);
  EXPECT_EQ(read_file(top_ + "/store/p/v/sub/file").value(), "content");
  EXPECT_EQ(stat_of("/store/p/v").st_mode & 07777u, 0750u);
  EXPECT_EQ(stat_of("/store/p/v/sub").st_mode & 07777u, 01777u);
  EXPECT_EQ(stat_of("/store/p/v/sub").st_mtim.tv_sec, 2000);
  EXPECT_EQ(stat_of("/store/p/v/sub/file").st_mode & 07777u, 04711u);
  EXPECT_EQ(stat_of("/store/p/v/same").st_ino, stat_of("/store/p/v/sub/file").st_ino);
  EXPECT_TRUE(S_ISLNK(stat_of("/store/p/v/link").st_mode)) << "not followed";
  EXPECT_TRUE(S_ISFIFO(stat_of("/store/p/v/fifo").st_mode));
  if (xattrs) {
    char value = 0;
    EXPECT_EQ(::getxattr((top_ + "/store/p/v/sub/file").c_str(), "user.note", &value, 1), 1);
  }
}

TEST_F(Volumes, StayAsTheyAreOnceThere) {
  ASSERT_EQ(make_volume(-1, top_ + "/v").value(), 0u);
  EXPECT_EQ(stat_of("/v").st_mode & 07777u, 0755u);
  ASSERT_TRUE(write_file_atomic(top_ + "/v/mine", "1"));
  ASSERT_EQ(::mkdir((top_ + "/src").c_str(), 0755), 0);
  ASSERT_TRUE(write_file_atomic(top_ + "/src/theirs", "2"));
  const UniqueFd source = sys::open(top_ + "/src", O_PATH | O_DIRECTORY).value();
  EXPECT_EQ(make_volume(source.get(), top_ + "/v").value(), 0u);
  EXPECT_TRUE(exists(top_ + "/v/mine"));
  EXPECT_FALSE(exists(top_ + "/v/theirs"));
}

TEST_F(Volumes, WithoutANameAreFoundAgainAndBelongToOneContainer) {
  const std::string name = anonymous_volume_name("shop-db", "/data");
  EXPECT_EQ(name, anonymous_volume_name("shop-db", "/data"));
  EXPECT_NE(name, anonymous_volume_name("shop-db", "/log"));
  EXPECT_TRUE(is_anonymous_volume(name, "shop-db"));
  EXPECT_TRUE(is_anonymous_volume(name, ""));
  EXPECT_FALSE(is_anonymous_volume(name, "shop"));
  EXPECT_FALSE(is_anonymous_volume("data", ""));
}

TEST_F(Volumes, BindsMustExistAndKeepOutOfOurFolders) {
  ASSERT_TRUE(paths().create());
  ASSERT_EQ(::mkdir((top_ + "/project").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("project", (top_ + "/link").c_str()), 0);
  const PathJudge judge(paths(), {});
  EXPECT_EQ(open_bind(top_ + "/link", judge).value().path, top_ + "/project");
  EXPECT_EQ(open_bind(top_ + "/nope", judge).error().code(), Errc::not_found);
  EXPECT_FALSE(exists(top_ + "/nope"));
  for (const char* path :
       {"/home", "/home/data", "/home/run", "/home/state", "", "/project/../home/run"})
    EXPECT_EQ(open_bind(top_ + path, judge).error().code(), Errc::denied) << path;
  EXPECT_EQ(open_bind("/", judge).error().code(), Errc::denied);
}

TEST_F(Volumes, NothingOfProcIsBound) {
  ASSERT_TRUE(paths().create());
  const PathJudge judge(paths(), {});
  for (const char* path : {"/dev/fd", "/proc/self", "/proc/self/status", "/proc/sys"}) {
    const auto opened = open_bind(path, judge);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().code(), Errc::invalid_input) << path;
    EXPECT_NE(opened.error().message().find(path), std::string::npos) << opened.error().message();
    EXPECT_NE(opened.error().message().find("a /proc of its own"), std::string::npos);
  }
}

TEST_F(Volumes, WarnOfABindThatTheUserCannotWrite) {
  ASSERT_EQ(::mkdir((top_ + "/project").c_str(), 0755), 0);
  const JudgedPath bind = open_bind(top_ + "/project", PathJudge(paths(), {})).value();
  const auto subuids = [](std::uint32_t id) {
    return id == 0 ? std::optional(::getuid()) : std::optional(100000 + id - 1);
  };
  ResolvedUser redis{
      .uid = 999, .gid = 999, .additional_gids = {999}, .home = "/", .name = "redis"};
  const auto warning = bind_warning(bind, "/data", redis, subuids);
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->find("\"redis\" (uid 999, 100998 on this host) cannot write to"),
            std::string::npos)
      << *warning;
  EXPECT_FALSE(bind_warning(bind, "/data", ResolvedUser{}, subuids));
  const auto single_id = [](std::uint32_t) { return std::optional(::getuid()); };
  EXPECT_FALSE(bind_warning(bind, "/data", redis, single_id)) << "everybody is who we are";
  ASSERT_EQ(::chmod(bind.path.c_str(), 0777), 0);
  const JudgedPath open = open_bind(top_ + "/project", PathJudge(paths(), {})).value();
  EXPECT_FALSE(bind_warning(open, "/data", redis, subuids));
}

}  // namespace
}  // namespace locald::builder
