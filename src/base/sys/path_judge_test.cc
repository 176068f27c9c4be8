#include "base/sys/path_judge.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

using Use = PathJudge::Use;

class PathJudgeTest : public testing::Test {
 protected:
  PathJudgeTest() {
    char name[] = "/tmp/locald-judge-XXXXXX";
    top_ = ::mkdtemp(name);
    for (const char* folder :
         {"/home/run/svc", "/home/data", "/home/state", "/p/src/data", "/p/own"})
      (void)make_dirs(top_ + folder, 0755).value();
    (void)write_file_atomic(top_ + "/p/src/data/file", "content");
  }
  ~PathJudgeTest() override { (void)remove_tree(top_); }

  Paths paths() const {
    return Paths::from_env(
               [&](const std::string& n) {
                 return n == "LOCALD_HOME" ? std::optional(top_ + "/home") : std::nullopt;
               },
               1000)
        .value();
  }
  PathJudge judge() const { return {paths(), {{top_ + "/p/src", "service a of project p"}}}; }
  void link(const std::string& target, const std::string& at) {
    ASSERT_EQ(::symlink(target.c_str(), (top_ + at).c_str()), 0) << at;
  }
  std::string refusal(const PathJudge& judge, const std::string& path, Use use = Use::share) {
    const auto opened = judge.open(top_ + path, use);
    if (opened) return "";
    EXPECT_EQ(opened.error().code(), Errc::denied) << opened.error().text();
    return opened.error().text();
  }
  bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  std::string top_;
};

TEST_F(PathJudgeTest, FollowsTheUsersOwnLinks) {
  link("own", "/p/relative");
  link(top_ + "/p", "/absolute");
  link("../p/relative/.", "/p/twice");
  for (const char* path : {"/p/own", "/p/relative", "/absolute/own", "/p/twice", "/p/src/../own/"})
    EXPECT_EQ(judge().open(top_ + path, Use::share).value().path, top_ + "/p/own") << path;
  link("circle", "/p/circle");
  EXPECT_EQ(judge().open(top_ + "/p/circle", Use::look).error().code(), Errc::invalid_input);
  link("nowhere", "/p/dangling");
  EXPECT_EQ(judge().open(top_ + "/p/dangling", Use::look).error().code(), Errc::not_found);
  EXPECT_EQ(judge().open(top_ + "/p/src/data/file/x", Use::look).error().code(),
            Errc::invalid_input);
  EXPECT_EQ(judge().open("relative", Use::look).error().code(), Errc::invalid_input);
}

TEST_F(PathJudgeTest, FollowsNoLinkInAFolderThatAContainerCanWriteTo) {
  link(top_ + "/p/own", "/p/src/link");
  link("data", "/p/src/inner");
  (void)make_dirs(top_ + "/p/src/a/b").value();
  link("../..", "/p/src/a/b/up");
  for (const char* path :
       {"/p/src/link", "/p/src/inner", "/p/src/inner/file", "/p/src/a/b/up/data"}) {
    const std::string why = refusal(judge(), path, Use::look);
    EXPECT_TRUE(
        has(why, "is a symlink in " + top_ + "/p/src, which service a of project p can write"))
        << why;
  }
  EXPECT_TRUE(judge().open(top_ + "/p/src/data/file", Use::look));
  EXPECT_TRUE(PathJudge(paths(), {}).open(top_ + "/p/src/inner", Use::look)) << "nobody else's";
  PathJudge later(paths(), {});
  EXPECT_TRUE(later.open(top_ + "/p/src/inner", Use::look));
  later.add_shared({top_ + "/p", "service b"});
  EXPECT_TRUE(has(refusal(later, "/p/src/inner"), "service b"));
}

TEST_F(PathJudgeTest, KnowsASharedFolderByAnotherName) {
  link("p/src", "/also");
  link("data", "/p/src/inner");
  const PathJudge other(paths(), {{top_ + "/also", "service a"}, {top_ + "/gone", "service c"}});
  EXPECT_TRUE(has(refusal(other, "/p/src/inner"), "service a"));
  EXPECT_TRUE(has(refusal(judge(), "/also/inner"), "service a"));
}

TEST_F(PathJudgeTest, NamesARefusedLinkOnce) {
  link("data", "/p/src/inner");
  EXPECT_TRUE(refusal(judge(), "/p/src/inner").starts_with(top_ + "/p/src/inner is a symlink in "));
  for (const char* path : {"/p/own/../src/inner", "/p/./src/inner/"})
    EXPECT_FALSE(has(refusal(judge(), path), "on the way")) << path;
  EXPECT_TRUE(refusal(judge(), "/p/src/inner/file")
                  .starts_with(top_ + "/p/src/inner, on the way to " + top_ +
                               "/p/src/inner/file, is a symlink in "));
}

TEST_F(PathJudgeTest, KnowsAMountedFolderThatWasRenamed) {
  struct stat st {};
  ASSERT_EQ(::stat((top_ + "/p/src").c_str(), &st), 0);
  const SharedFolder mounted{top_ + "/p/src", "service a", FileId(st)};
  link("data", "/p/src/inner");
  EXPECT_TRUE(has(refusal({paths(), {mounted}}, "/p/src/inner"),
                  "is a symlink in " + top_ + "/p/src, which service a can"));
  ASSERT_EQ(::rename((top_ + "/p/src").c_str(), (top_ + "/p/src2").c_str()), 0);
  for (const char* put : {"", "/p/src"}) {  // with nothing, then something else, at its name
    if (*put != '\0') {
      ASSERT_TRUE(make_dirs(top_ + put + "/data"));
    }
    const std::string why = refusal({paths(), {mounted}}, "/p/src2/inner");
    EXPECT_TRUE(has(why, "is a symlink in " + top_ + "/p/src2 (" + top_ +
                             "/p/src when it was mounted), which service a can write to"))
        << why;
  }
  EXPECT_TRUE(PathJudge(paths(), {mounted}).open(top_ + "/p/src2/data/file", Use::share));
  link("data", "/p/src/inner");
  EXPECT_EQ(refusal({paths(), {mounted}}, "/p/src/inner"), "") << "another folder";
  EXPECT_TRUE(has(refusal(judge(), "/p/src/inner"), "service a of project p"))
      << "what will be mounted";
  EXPECT_TRUE(has(refusal({paths(), {{"", "service a", FileId(st)}}}, "/p/src2/inner"),
                  "is a symlink in " + top_ + "/p/src2, which service a"));
}

TEST(SharedFolders, TellsApartWhatHadOneNameAfterTheOther) {
  SharedFolders shared;
  FileId one, two;
  two.inode = 2;
  shared.set("x", {{"/src", "service a"}, {"/src", "service a", one}});
  shared.set("y", {{"/src", "service b", two}, {"/src", "service b", one}});
  EXPECT_EQ(shared.all().size(), 3u);
  shared.set("x", {});
  EXPECT_EQ(shared.all().size(), 2u);
}

TEST_F(PathJudgeTest, FollowsNoLinkThatAnotherUserMayHaveMade) {
  (void)make_dirs(top_ + "/open/mine").value();
  link(top_ + "/p/own", "/open/mine/link");
  EXPECT_EQ(refusal(judge(), "/open/mine/link"), "");
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 0777), 0);
  EXPECT_TRUE(has(refusal(judge(), "/open/mine/link"),
                  "is a symlink in " + top_ + "/open, which every user can write to"));
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 01777), 0);
  EXPECT_EQ(refusal(judge(), "/open/mine/link"), "") << "sticky: what is in it is ours";
  link(top_ + "/p/own", "/open/link");
  EXPECT_EQ(refusal(judge(), "/open/link"), "");
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 0755), 0);
  if (::getuid() != 0) GTEST_SKIP() << "needs root: folders of other users";
  ASSERT_EQ(::lchown((top_ + "/open/link").c_str(), 1234, 1234), 0);
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 01777), 0);
  EXPECT_TRUE(has(refusal(judge(), "/open/link"), "belongs to uid 1234"));
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 0755), 0);
  ASSERT_EQ(::chown((top_ + "/open").c_str(), 1234, 0), 0);
  EXPECT_TRUE(has(refusal(judge(), "/open/mine/link"), "which uid 1234 can write to"));
  ASSERT_EQ(::chown((top_ + "/open").c_str(), 0, 1234), 0);
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 0775), 0);
  EXPECT_TRUE(has(refusal(judge(), "/open/mine/link"), "which group 1234 can write to"));
}

TEST_F(PathJudgeTest, KeepsOutOfLocaldsFolders) {
  link(top_ + "/home/run", "/p/run");
  for (const char* path : {"/home/run", "/home/run/svc", "/home/data", "/p/run", "/p/run/svc"})
    for (const Use use : {Use::look, Use::share})
      EXPECT_TRUE(has(refusal(judge(), path, use), "where locald keeps its own files")) << path;
  for (const char* path : {"/home", "", "/p/.."}) {
    EXPECT_TRUE(has(refusal(judge(), path), " contains ")) << path;
    EXPECT_EQ(refusal(judge(), path, Use::look), "") << "to look at it is harmless";
  }
  ASSERT_EQ(::rmdir((top_ + "/home/state").c_str()), 0);
  EXPECT_TRUE(has(refusal(judge(), "/home"), " contains ")) << "also while it is not there";
}

TEST_F(PathJudgeTest, HoldsWhatItFoundWhateverBecomesOfTheName) {
  const JudgedPath file = judge().open(top_ + "/p/src/data/file", Use::look).value();
  ASSERT_EQ(::rename((top_ + "/p/src/data").c_str(), (top_ + "/p/src/old").c_str()), 0);
  link("/etc", "/p/src/data");
  EXPECT_EQ(file.read(100).value(), "content");
  EXPECT_EQ(file.read(3).error().code(), Errc::invalid_input);
  ASSERT_EQ(::mkfifo((top_ + "/p/fifo").c_str(), 0600), 0);
  const JudgedPath fifo = judge().open(top_ + "/p/fifo", Use::look).value();
  EXPECT_NE(fifo.read(100).error().message().find("is not a regular file"), std::string::npos);
}

TEST_F(PathJudgeTest, IsNotDeceivedByAnExchangeInALoop) {
  link(top_ + "/home/run", "/p/src/link");
  const std::string a = top_ + "/p/src/data", b = top_ + "/p/src/link";
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop) ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
  });
  struct stat wanted {};
  int opened = 0, refused = 0;
  while (!::stat((top_ + "/p/src/data/file").c_str(), &wanted)) break;
  for (int i = 0; i < 5000 || ((opened == 0 || refused == 0) && i < 200000); ++i) {
    const auto found = judge().open(a, Use::share);
    if (!found) {
      ++refused;
      continue;
    }
    ++opened;
    const auto inside = sys::openat(found->fd.get(), "svc", O_PATH);
    ASSERT_FALSE(inside) << "the run folder";
    ASSERT_TRUE(sys::openat(found->fd.get(), "file", O_PATH));
  }
  stop = true;
  attacker.join();
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
}

/// Runs `body` where mounts can be made and nobody else sees them. False: not here.
bool with_mounts(const std::function<int()>& body, int* code) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNS | (::getuid() == 0 ? 0 : CLONE_NEWUSER)) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : 98;
  return *code != 99;
}

TEST_F(PathJudgeTest, KnowsAFolderThroughWhicheverMountItIsReached) {
  for (const char* folder : {"/m1", "/m2", "/m3", "/q/m4", "/home/data/disk", "/disk"})
    (void)make_dirs(top_ + folder, 0755).value();
  link("data", "/p/src/inner");
  int code = 0;
  const auto bind = [&](const std::string& from, const std::string& to) {
    return ::mount((top_ + from).c_str(), (top_ + to).c_str(), nullptr, MS_BIND | MS_REC, nullptr);
  };
  const bool ran = with_mounts(
      [&]() -> int {
        if (bind("/home/run/svc", "/m1") != 0 || bind("/home", "/m2") != 0 ||
            bind("/p/src", "/m3") != 0 || bind("/home/data", "/q/m4") != 0 ||
            bind("/disk", "/home/data/disk") != 0)
          return 99;
        if (!has(refusal(judge(), "/m1"), " lies in ")) return 1;
        if (!has(refusal(judge(), "/m2"), " contains ")) return 2;
        if (!has(refusal(judge(), "/m2/run"), " is ")) return 3;
        if (!has(refusal(judge(), "/q"), " contains ")) return 4;
        if (!has(refusal(judge(), "/m3/inner"), "service a of project p")) return 5;
        if (!judge().open(top_ + "/m3/data", Use::share)) return 6;
        if (!has(refusal(judge(), "/home/data/disk"), " lies in ")) return 7;
        return 0;
      },
      &code);
  if (!ran) GTEST_SKIP() << "this host lets nobody make a user and a mount namespace (unshare)";
  EXPECT_EQ(code, 0);
}

TEST_F(PathJudgeTest, KnowsWhatLiesInASharedFolderByAnotherMount) {
  for (const char* folder : {"/disk/x", "/m", "/p/src/disk"}) (void)make_dirs(top_ + folder, 0755);
  link("x", "/disk/link");
  link("file", "/p/src/data/link");
  struct stat st {};
  ASSERT_EQ(::stat((top_ + "/p/src").c_str(), &st), 0);
  const SharedFolder mounted{top_ + "/p/src", "service a", FileId(st)};
  int code = 0;
  const bool ran = with_mounts(
      [&]() -> int {
        const auto bind = [&](const std::string& from, const std::string& to) {
          return ::mount((top_ + from).c_str(), (top_ + to).c_str(), nullptr, MS_BIND, nullptr);
        };
        if (bind("/disk", "/p/src/disk") != 0 || bind("/p/src/data", "/m") != 0) return 99;
        // A mount below it goes into the container with it.
        for (const auto& shared : {mounted, SharedFolder{mounted.path, "service a"}})
          if (!has(refusal({paths(), {shared}}, "/disk/link"), "service a")) return 1;
        if (!has(refusal({paths(), {mounted}}, "/m/link", Use::look), "service a")) return 2;
        if (::umount((top_ + "/p/src/disk").c_str()) != 0) return 99;
        if (!refusal({paths(), {mounted}}, "/disk/link").empty()) return 3;
        if (::rename((top_ + "/p/src").c_str(), (top_ + "/p/src2").c_str()) != 0) return 4;
        if (!has(refusal({paths(), {mounted}}, "/m/link", Use::look),
                 "what was mounted as " + top_ + "/p/src, which service a"))
          return 5;
        if (!refusal({paths(), {mounted}}, "/disk/link").empty()) return 6;
        return 0;
      },
      &code);
  if (!ran) GTEST_SKIP() << "this host lets nobody make a user and a mount namespace (unshare)";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace locald
