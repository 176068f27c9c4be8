#include "oci/layer/layer_archive.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/sys/sys.h"
#include "oci/archive/tar_reader.h"
#include "oci/archive/test_tar.h"
#include "oci/layer/test_tree.h"
#include "oci/ref/digest.h"
#include "oci/spec/go_tool.h"

namespace locald::oci {
namespace {

constexpr std::int64_t kTime = 315532801;
using Order = LayerArchive::Order;

/// What no user needs root for, of every kind and at odd names.
void plant(const test::TempDir& dir, const std::string& top) {
  const std::string root = dir.make(top);
  const auto file = [&](const std::string& name, const std::string& text, mode_t mode = 0644) {
    ASSERT_TRUE(write_file_atomic(root + "/" + name, text, mode)) << name;
    ASSERT_EQ(::chmod((root + "/" + name).c_str(), mode), 0) << name;
  };
  for (const char* name : {"a", "a-b", "a.b", "a0", "ä", "empty", "deep"})
    ASSERT_EQ(::mkdir((root + "/" + name).c_str(), 0755), 0);
  file("a.txt", "behind a/b by walking, before it by path");
  file("a/b", "x");
  file("a/0", "");
  file("a-b/c", "minus is before slash");
  file("a0/c", "zero is behind it");
  file("a.b/c", std::string(512, 'b'));
  file("ä/ö", std::string(100'000, 'u'));
  file("script", "#!/bin/sh\n", 0755);
  file("setuid", "s", 06755);
  file("secret", "no one may read this", 0400);
  file(std::string(200, 'n'), "a long name");
  file("back\\slash", "");
  file("tab\tand\nline", "");
  ASSERT_EQ(::chmod((root + "/empty").c_str(), 01777), 0);
  ASSERT_EQ(::symlink("a/b", (root + "/link").c_str()), 0);
  ASSERT_EQ(::symlink("/nowhere/at/all", (root + "/dangling").c_str()), 0);
  ASSERT_EQ(::symlink(std::string(150, 't').c_str(), (root + "/long-target").c_str()), 0);
  ASSERT_EQ(::symlink("a", (root + "/folder-link").c_str()), 0);
  ASSERT_EQ(::link((root + "/a/b").c_str(), (root + "/hard").c_str()), 0);
  ASSERT_EQ(::mkfifo((root + "/fifo").c_str(), 0600), 0);
  std::string at = root + "/deep";
  for (int i = 0; i < 30; ++i) {
    at += "/folder-" + std::to_string(i);
    ASSERT_EQ(::mkdir(at.c_str(), 0750), 0);
  }
  ASSERT_TRUE(write_file_atomic(at + "/end", "long path", 0600));
}

void plant_socket(const std::string& path) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

Result<std::string> pack(const std::string& disk, const std::string& name, Order order,
                         const LayerArchive::Filter& filter = {}) {
  test::StringSink sink;
  LayerArchive archive(sink, kTime);
  const UniqueFd dir = TRY(sys::open(disk, O_RDONLY | O_DIRECTORY));
  TRY(archive.tree(dir.get(), name, {1001, 1000}, order, filter));
  TRY(archive.finish());
  return sink.bytes;
}

std::vector<std::string> names_of(const std::string& tar) {
  test::StringSource source(tar);
  TarReader reader(source, LayerLimits());
  std::vector<std::string> names;
  for (TarEntry entry; *reader.next(entry);) names.push_back(entry.path);
  return names;
}

TEST(LayerArchive, PacksAsGoDoes) {
  const test::TempDir dir;
  plant(dir, "tree");
  // The digests are of Go's output; the next test asks Go itself.
  EXPECT_EQ(Digest::of(*pack(dir / "tree", "/layers/x", Order::folder_first)).hex(),
            "4ed5bcd3629442f0666dc9cef532f3eec9a5473ccbce6fbee0b6179ee215cfef");
  EXPECT_EQ(Digest::of(*pack(dir / "tree", "/layers/x", Order::by_path)).hex(),
            "f3249ca5349d7bba5fdfef203909bb793b08f28ef31939ddb1fc6501018c58b1");
}

TEST(LayerArchive, PacksAsTheGoHereDoes) {
  const auto go = test::find_go();
  if (!go) GTEST_SKIP() << "needs Go, in PATH or /usr/local/go";
  const test::TempDir dir;
  plant(dir, "tree");
  plant_socket(dir / "tree/socket");
  if (::geteuid() == 0) {
    (void)::mknod((dir / "tree/null").c_str(), S_IFCHR | 0666, makedev(1, 3));
    (void)::mknod((dir / "tree/disk").c_str(), S_IFBLK | 0660, makedev(259, 1048575));
  }
  for (const Order order : {Order::folder_first, Order::by_path}) {
    std::vector<std::string> arguments = {"tree", "-uid", "1001", "-gid", "1000"};
    if (order == Order::by_path) arguments.push_back("-by-path");
    arguments.insert(arguments.end(), {dir / "tree", "/layers/some_buildpack/layer"});
    const std::string theirs = test::run_layer_tar(*go, arguments, dir.path());
    const auto ours = pack(dir / "tree", "/layers/some_buildpack/layer", order);
    ASSERT_TRUE(ours) << ours.error().text();
    EXPECT_TRUE(*ours == theirs) << "order " << static_cast<int>(order) << ", " << ours->size()
                                 << " and " << theirs.size() << " bytes";
  }
}

TEST(LayerArchive, TakesParentsWithTheOwnersThatItIsTold) {
  const test::TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0750), 0);
  test::StringSink sink;
  LayerArchive archive(sink, kTime);
  const UniqueFd fd = *sys::open(dir.path(), O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(archive.folder(fd.get(), "/layers", [](uid_t uid, gid_t gid) {
    EXPECT_EQ(uid, ::getuid());
    EXPECT_EQ(gid, ::getgid());
    return ArchiveOwner{70000, 80000};
  }));
  ASSERT_TRUE(archive.made_folder("/cnb"));
  ASSERT_TRUE(archive.made_symlink("/cnb/web", "/cnb/lifecycle/launcher"));
  ASSERT_TRUE(archive.finish());
  test::StringSource source(sink.bytes);
  TarReader reader(source, LayerLimits());
  TarEntry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.path, "/layers");
  EXPECT_EQ(entry.mode, 0750u);
  EXPECT_EQ(entry.uid, 70000u);
  EXPECT_EQ(entry.gid, 80000u);
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.mode, 0755u);
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.link, "/cnb/lifecycle/launcher");
}

TEST(LayerArchive, AFilterLeavesOutEntriesAndNotWhatLiesInThem) {
  const test::TempDir dir;
  plant(dir, "tree");
  const auto some = pack(dir / "tree", "/w", Order::by_path, [](const std::string& path) {
    return path.empty() || path == "a/b" || path == "a.txt";
  });
  ASSERT_TRUE(some) << some.error().text();
  EXPECT_EQ(names_of(*some), (std::vector<std::string>{"/w", "/w/a.txt", "/w/a/b"}));
}

TEST(LayerArchive, FollowsNoSymlink) {
  const test::TempDir dir;
  dir.make("tree");
  dir.make("outside");
  ASSERT_TRUE(write_file_atomic(dir / "outside/secret", "secret"));
  ASSERT_EQ(::symlink("../outside", (dir / "tree/link").c_str()), 0);
  const auto packed = pack(dir / "tree", "/w", Order::folder_first);
  ASSERT_TRUE(packed);
  EXPECT_EQ(names_of(*packed), (std::vector<std::string>{"/w", "/w/link"}));
}

TEST(LayerArchive, ReportsAFolderThatIsTooDeep) {
  const test::TempDir dir;
  std::string path = dir.make("tree");
  UniqueFd at = *sys::open(path, O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 905; ++i) {
    ASSERT_TRUE(sys::mkdirat(at.get(), "d", 0755));
    at = *sys::openat(at.get(), "d", O_RDONLY | O_DIRECTORY);
  }
  const auto packed = pack(path, "/w", Order::folder_first);
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code(), Errc::invalid_input) << packed.error().text();
}

}  // namespace
}  // namespace locald::oci
