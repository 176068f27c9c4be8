// Real files, a real inotify.
#include "server/projects/file_watch.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/fs_at.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

using std::chrono::milliseconds;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    char name[] = "/tmp/locald-watch-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~FileWatchTest() override {
    watch_.reset();
    (void)remove_tree(dir_);
  }

  void write(const std::string& file, const std::string& text = "x") {
    const std::string path = dir_ + "/" + file;
    ASSERT_TRUE(make_dirs(path.substr(0, path.rfind('/')), 0755));
    // In place, as most programs write.
    FILE* out = ::fopen(path.c_str(), "we");
    ASSERT_NE(out, nullptr);
    ::fputs(text.c_str(), out);
    ::fclose(out);
  }
  void watch(const std::vector<project::WatchConfig>& what) {
    watch_ = std::make_unique<FileWatch>(
        loop_, jobs_, dir_, what,
        FileWatch::Events{[this](const std::set<std::string>& paths) {
                            seen_.push_back(*paths.begin() + "+" +
                                            std::to_string(paths.size() - 1));
                          },
                          [this](const Error& error) { troubles_.push_back(error.text()); }});
    run_until(loop_, [this] { return jobs_.unfinished() == 0; });
    run_for(loop_, milliseconds(20));
  }
  /// What has been told, once something was.
  std::vector<std::string> told() {
    run_until(loop_, [this] { return !seen_.empty(); });
    return std::exchange(seen_, {});
  }
  /// Where nothing is to be told: as long as it takes to be told of a change that is made now.
  bool silent() {
    write("sentinel.py");
    return told() == std::vector<std::string>{"sentinel.py+0"};
  }

  std::string dir_;
  EventLoop loop_;
  JobPool jobs_{loop_, 2};
  std::vector<std::string> seen_, troubles_;
  std::unique_ptr<FileWatch> watch_;
};

TEST_F(FileWatchTest, PatternsAreThoseOfGitAtAnyDepth) {
  write("app.py");
  write("lib/deep/x.py");
  watch({{{"*.py", "!test_*.py"}, {}}});
  EXPECT_TRUE(seen_.empty()) << "files that are there have not changed";
  write("lib/deep/x.py", "y");
  EXPECT_EQ(told(), std::vector<std::string>{"lib/deep/x.py+0"});
  write("notes.txt");
  write("lib/test_x.py");
  write("node_modules/a.py");
  write(".git/b.py");
  EXPECT_TRUE(silent());
  EXPECT_TRUE(troubles_.empty());
}

TEST_F(FileWatchTest, AFolderThatComesLaterIsWatchedWithWhatIsInIt) {
  watch({{{"*.py"}, {}}});
  write("new/a/b/c.py");
  EXPECT_EQ(told(), std::vector<std::string>{"new/a/b/c.py+0"});
  write("new/a/b/c.py", "again");
  EXPECT_EQ(told(), std::vector<std::string>{"new/a/b/c.py+0"});
}

TEST_F(FileWatchTest, ManyChangesAreOne) {
  watch({{{"src/**"}, {"src/gen/"}}});
  write("src/gen/x");
  write("src/a");
  told();
  for (int i = 0; i < 50; ++i) write("src/f" + std::to_string(i));
  EXPECT_EQ(told(), std::vector<std::string>{"src/f0+49"});
}

TEST_F(FileWatchTest, ConstantChangesAreToldAllTheSame) {
  watch({{{"*.py"}, {}}});
  const auto begin = EventLoop::Clock::now();
  while (seen_.empty() && EventLoop::Clock::now() < begin + std::chrono::seconds(10)) {
    write("a.py");
    run_for(loop_, milliseconds(20));
  }
  const auto took = EventLoop::Clock::now() - begin;
  EXPECT_EQ(told(), std::vector<std::string>{"a.py+0"});
  EXPECT_GE(took, FileWatch::kLongest - milliseconds(50));
}

TEST_F(FileWatchTest, RenamesAndDeletionsAreChanges) {
  write("a.py");
  write("d/b.py");
  watch({{{"*.py"}, {}}});
  // As editors save.
  write("a.tmp");
  ASSERT_EQ(::rename((dir_ + "/a.tmp").c_str(), (dir_ + "/a.py").c_str()), 0);
  EXPECT_EQ(told(), std::vector<std::string>{"a.py+0"});
  ASSERT_EQ(::unlink((dir_ + "/a.py").c_str()), 0);
  EXPECT_EQ(told(), std::vector<std::string>{"a.py+0"});
  ASSERT_EQ(::rename((dir_ + "/d").c_str(), (dir_ + "/e").c_str()), 0);
  EXPECT_EQ(told(), (std::vector<std::string>{"d+1"}));
  write("e/b.py", "by its new name");
  EXPECT_EQ(told(), std::vector<std::string>{"e/b.py+0"});
}

TEST_F(FileWatchTest, AFolderWithoutWatchedFilesMayBeRenamed) {
  write("conf/a.conf");
  write("dist/app.js");
  watch({{{"conf/", "sentinel.py"}, {}}});
  ASSERT_EQ(::rename((dir_ + "/dist").c_str(), (dir_ + "/dist.old").c_str()), 0);
  EXPECT_TRUE(silent());
  write("dist.old/conf/b.conf");
  EXPECT_EQ(told(), std::vector<std::string>{"dist.old/conf/b.conf+0"});
  ASSERT_EQ(::rename((dir_ + "/dist.old").c_str(), (dir_ + "-gone").c_str()), 0);
  EXPECT_EQ(told(), std::vector<std::string>{"dist.old+0"});
  (void)remove_tree(dir_ + "-gone");
}

TEST_F(FileWatchTest, LinksAreNotFollowed) {
  const std::string outside = dir_ + "-outside";
  ASSERT_TRUE(make_dirs(outside, 0755));
  ASSERT_EQ(::symlink(outside.c_str(), (dir_ + "/link").c_str()), 0);
  watch({{{"*.py"}, {}}});
  ASSERT_TRUE(write_file_atomic(outside + "/a.py", "x"));
  EXPECT_TRUE(silent());
  (void)remove_tree(outside);
}

TEST_F(FileWatchTest, AFolderThatIsNotThereIsTold) {
  ASSERT_TRUE(remove_tree(dir_));
  watch({{{"*.py"}, {}}});
  ASSERT_EQ(troubles_.size(), 1u);
  EXPECT_NE(troubles_[0].find(dir_), std::string::npos) << troubles_[0];
}

TEST_F(FileWatchTest, AFolderThatIsDeletedIsToldOnce) {
  write("a.py");
  watch({{{"*.py"}, {}}});
  ASSERT_TRUE(remove_tree(dir_));
  run_until(loop_, [this] { return !troubles_.empty(); });
  ASSERT_EQ(troubles_.size(), 1u);
  EXPECT_NE(troubles_[0].find("was deleted"), std::string::npos) << troubles_[0];
}

}  // namespace
}  // namespace locald::server
