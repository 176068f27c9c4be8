#include "builder/tree_view.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

using FactsKind = PathFacts::Kind;

class Tree : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/locald-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
    ::umask(022);
    for (const char* dir : {"/root", "/root/etc", "/root/run", "/root/srv", "/root/srv/full",
                            "/root/deep", "/root/deep/er"})
      ASSERT_EQ(::mkdir((top_ + dir).c_str(), 0755), 0);
    write("/secret", "outside");
    write("/root/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    write("/root/srv/full/file", "x");
    link("/run", "/root/absolute");
    link("../../../../srv", "/root/deep/er/relative");
    link("/run/systemd/stub.conf", "/root/etc/resolv.conf");
    link("../secret", "/root/escape");
    link("loop2", "/root/loop1");
    link("loop1", "/root/loop2");
    root_ = sys::open(top_ + "/root", O_PATH | O_DIRECTORY).value();
  }
  void TearDown() override { (void)remove_tree(top_); }
  void write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(top_ + path, text, 0644));
  }
  void link(const char* to, const std::string& at) {
    ASSERT_EQ(::symlink(to, (top_ + at).c_str()), 0);
  }
  PathFacts at(const std::string& path) { return locate(root_.get(), path).value(); }

  std::string top_;
  UniqueFd root_;
};

TEST_F(Tree, SaysWhatAPathIs) {
  EXPECT_EQ(at("/srv").kind, FactsKind::folder);
  EXPECT_FALSE(at("/srv").empty);
  EXPECT_TRUE(at("/run").empty);
  EXPECT_EQ(at("/srv/full/file").kind, FactsKind::file);
  EXPECT_EQ(at("/srv/full/file").ancestors.size(), 2u);
  EXPECT_EQ(at("/").kind, FactsKind::folder);
  EXPECT_EQ(at("/srv").attributes.mode, 0755u);
}

TEST_F(Tree, SaysWhereAMissingPathWouldBe) {
  const PathFacts facts = at("/srv/new/deep");
  EXPECT_EQ(facts.kind, FactsKind::missing);
  EXPECT_EQ(facts.resolved, "/srv/new/deep");
  EXPECT_EQ(facts.ancestors.size(), 1u);
}

TEST_F(Tree, ReadsSymlinksAsIfTheTreeWereAll) {
  EXPECT_EQ(at("/absolute/x").resolved, "/run/x");
  EXPECT_EQ(at("/deep/er/relative/full").resolved, "/srv/full");
  EXPECT_EQ(at("/etc/resolv.conf").resolved, "/run/systemd/stub.conf");
  EXPECT_EQ(at("/etc/resolv.conf").kind, FactsKind::missing);
  EXPECT_EQ(at("/escape").kind, FactsKind::missing)
      << "../secret is /secret in the tree, and not there";
  EXPECT_EQ(at("/escape").resolved, "/secret");
  EXPECT_EQ(locate(root_.get(), "/loop1").error().code(), Errc::invalid_input);
}

TEST_F(Tree, StopsAtAFileThatIsNoFolder) {
  EXPECT_EQ(at("/srv/full/file/below").kind, FactsKind::other);
  EXPECT_EQ(at("/srv/full/file/below").resolved, "/srv/full/file");
}

TEST_F(Tree, MakesMountPointsAndOnlyInside) {
  EXPECT_EQ(make_mount_point(root_.get(), "/absolute/a/b", FactsKind::folder).value().kind,
            FactsKind::folder);
  EXPECT_TRUE(exists(top_ + "/root/run/a/b"));
  EXPECT_EQ(make_mount_point(root_.get(), "/etc/resolv.conf", FactsKind::file).value().kind,
            FactsKind::file);
  EXPECT_TRUE(exists(top_ + "/root/run/systemd/stub.conf"));
  EXPECT_EQ(make_mount_point(root_.get(), "/escape/x", FactsKind::folder).value().resolved,
            "/secret/x");
  EXPECT_EQ(read_file(top_ + "/secret").value(), "outside");
  EXPECT_EQ(make_mount_point(root_.get(), "/srv", FactsKind::folder).value().kind,
            FactsKind::folder)
      << "what is there stays";
}

TEST_F(Tree, CollectsUsersFromRegularFilesAlone) {
  EXPECT_EQ(collect_facts(root_.get(), {"/srv"}).value().users.passwd,
            "root:x:0:0::/root:/bin/sh\n");
  ASSERT_TRUE(remove_tree(top_ + "/root/etc/passwd"));
  ASSERT_EQ(::mkfifo((top_ + "/root/etc/passwd").c_str(), 0644), 0);
  const ImageFacts fifo = collect_facts(root_.get(), {}).value();  // would hang if it were opened
  EXPECT_EQ(fifo.users.passwd, "");
  EXPECT_NE(fifo.users.problem.find("not a regular file"), std::string::npos);
  ASSERT_TRUE(remove_tree(top_ + "/root/etc/passwd"));
  link("/../../secret", "/root/etc/passwd");
  EXPECT_EQ(collect_facts(root_.get(), {}).value().users.passwd, "") << "a link out of the tree";
  ASSERT_TRUE(remove_tree(top_ + "/root/etc/passwd"));
  write("/root/etc/passwd", std::string((1u << 20) + 1, 'x'));
  EXPECT_NE(collect_facts(root_.get(), {}).value().users.problem.find("1 MiB"), std::string::npos);
}

}  // namespace
}  // namespace locald::builder
