#include "oci/layer/layer_apply.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <random>

#include "oci/archive/test_tar.h"
#include "oci/layer/layer_path.h"
#include "oci/layer/test_tree.h"

namespace locald::oci {
namespace {

using test::snapshot;
using test::StringSource;
using test::TarBuilder;
using test::TempDir;
using Tree = std::map<std::string, std::string>;

/// Without root, owners are squashed; all else is the same.
IdMap test_map() { return ::geteuid() == 0 ? IdMap::root : IdMap::single; }

ApplyOptions options_for(IdMap map) {
  ApplyOptions options;
  options.id_map = map;
  return options;
}

/// One folder, layers applied upon one another.
class Flat {
 public:
  Result<AppliedLayer> apply(const std::string& tar,
                             ApplyOptions options = options_for(test_map())) {
    StringSource source(tar);
    const UniqueFd dir(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return apply_layer_flat(source, "", dir.get(), options);
  }
  Flat& with(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    return *this;
  }
  std::string error(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    return done ? "applied" : done.error().message();
  }
  Tree tree(bool full = false) const {
    Tree out = snapshot(path(), full);
    out.erase("");
    return out;
  }
  const std::string& path() const { return path_; }
  const TempDir& outer() const { return dir_; }

 private:
  TempDir dir_;
  std::string path_ = dir_.make("root");
};

/// A folder for each layer.
class Stack {
 public:
  Result<AppliedLayer> apply(const std::string& tar,
                             ApplyOptions options = options_for(test_map())) {
    const std::string path = dir_.make(std::to_string(layers_.size()));
    LowerLayers lowers;
    lowers.wait = [this]() -> Result<std::vector<std::string>> {
      return std::vector<std::string>(layers_.rbegin(), layers_.rend());
    };
    StringSource source(tar);
    const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto done = apply_layer_overlay(source, "", dir.get(), lowers, options);
    layers_.push_back(path);
    return done;
  }
  Stack& with(const TarBuilder& tar) {
    const auto done = apply(tar.bytes());
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    used_lowers = done && done->used_lowers;
    return *this;
  }
  /// The last layer alone.
  Tree top(bool full = false) const {
    Tree out = snapshot(layers_.back(), full);
    out.erase("");
    return out;
  }
  bool opaque(const std::string& name) const {
    char value = 0;
    const char* xattr =
        test_map() == IdMap::root ? "trusted.overlay.opaque" : "user.overlay.opaque";
    return ::getxattr((layers_.back() + "/" + name).c_str(), xattr, &value, 1) == 1 && value == 'y';
  }
  /// All layers as overlayfs shows them (a mount without a mount point: only its descriptor). Root
  /// only.
  Tree merged() const {
    std::string lower = "lowerdir=";
    for (auto at = layers_.rbegin(); at != layers_.rend(); ++at)
      lower += (at == layers_.rbegin() ? "" : ":") + *at;
    const std::string empty = dir_.make("empty");
    if (layers_.size() == 1) lower += ":" + empty;
    const UniqueFd fs(static_cast<int>(::syscall(SYS_fsopen, "overlay", 1u)));
    const auto set = [&](const std::string& key, const std::string& value) {
      return ::syscall(SYS_fsconfig, fs.get(), 1u /* FSCONFIG_SET_STRING */, key.c_str(),
                       value.c_str(), 0);
    };
    EXPECT_EQ(set("lowerdir", lower.substr(9)), 0) << std::strerror(errno);
    EXPECT_EQ(::syscall(SYS_fsconfig, fs.get(), 6u /* FSCONFIG_CMD_CREATE */, nullptr, nullptr, 0),
              0)
        << std::strerror(errno);
    const UniqueFd mount(
        static_cast<int>(::syscall(SYS_fsmount, fs.get(), 1u, 1u /* MOUNT_ATTR_RDONLY */)));
    EXPECT_TRUE(mount) << std::strerror(errno);
    Tree out = snapshot("/proc/self/fd/" + std::to_string(mount.get()), /*full=*/true);
    out.erase("");
    return out;
  }

  bool used_lowers = false;

 private:
  TempDir dir_;
  std::vector<std::string> layers_;
};

TarBuilder base() {
  TarBuilder tar;
  tar.dir("d/")
      .file("d/one", "1")
      .file("d/two", "2")
      .dir("d/sub/")
      .file("d/sub/x", "x")
      .symlink("link", "d")
      .symlink("dead", "nowhere");
  return tar;
}

TEST(LayerFlat, WritesWhatTheLayerSaysWhateverTheUmask) {
  const mode_t old = ::umask(0077);
  Flat flat;
  flat.with(TarBuilder()
                .dir("d/", {.mode = 01777})
                .file("d/f", "hello", {.mode = 0666})
                .file("suid", "", {.mode = 04755})
                .symlink("s", "/../../outside")
                .hardlink("h", "/d/f")
                .fifo("p")
                .file("implied/by/child"));
  ::umask(old);
  EXPECT_EQ(flat.tree(), (Tree{{"d", "dir 1777"},
                               {"d/f", "file 666 hello"},
                               {"suid", "file 4755 "},
                               {"s", "link /../../outside"},
                               {"h", "file 666 hello =d/f"},
                               {"p", "fifo 644"},
                               {"implied", "dir 755"},
                               {"implied/by", "dir 755"},
                               {"implied/by/child", "file 644 "}}));
}

TEST(LayerFlat, SetsTheTimesOfFoldersLastAndKeepsThoseItDoesNotDescribe) {
  Flat flat;
  flat.with(TarBuilder()
                .dir("d/", {.mode = 0755, .mtime = 1000})
                .file("d/f", "", {.mtime = 2000})
                .dir("e/", {.mode = 0755, .mtime = 3000}));
  flat.with(TarBuilder()
                .file("d/g", "", {.mtime = 9000})
                .whiteout("d/", "f")
                .file("new/f", "", {.mtime = 7000}));
  const Tree tree = flat.tree(/*full=*/true);
  EXPECT_NE(tree.at("d").find("@1000.0"), std::string::npos);
  EXPECT_NE(tree.at("e").find("@3000.0"), std::string::npos);
  EXPECT_NE(tree.at("new").find("@7000.0"), std::string::npos);
  EXPECT_FALSE(tree.contains("d/f"));
}

TEST(LayerFlat, WhiteoutsRemoveWhatLowerLayersPutThere) {
  Flat flat;
  flat.with(base()).with(TarBuilder()
                             .whiteout("d/", "one")
                             .whiteout("d/", "sub")
                             .whiteout("", "link")
                             .whiteout("", "never"));
  EXPECT_EQ(flat.tree(),
            (Tree{{"d", "dir 755"}, {"d/two", "file 644 2"}, {"dead", "link nowhere"}}));
}

TEST(LayerFlat, WhiteoutsNeverHideEntriesOfTheirOwnLayerInEitherOrder) {
  for (const bool before : {true, false}) {
    Flat flat;
    flat.with(base());
    TarBuilder tar;
    if (before) tar.whiteout("d/", "one").whiteout("d/", "sub");
    tar.file("d/one", "new").file("d/sub/y", "new");
    if (!before) tar.whiteout("d/", "one").whiteout("d/", "sub");
    flat.with(tar);
    EXPECT_EQ(flat.tree().at("d/one"), "file 644 new") << before;
    EXPECT_EQ(flat.tree().at("d/sub/y"), "file 644 new") << before;
    EXPECT_FALSE(flat.tree().contains("d/sub/x")) << before;
  }
}

TEST(LayerFlat, OpaqueFoldersKeepTheirOwnLayersEntriesWhereverTheMarkerStands) {
  for (const bool before : {true, false}) {
    Flat flat;
    flat.with(base());
    TarBuilder tar;
    if (before) tar.opaque("d/");
    tar.dir("d/").file("d/new").file("d/deep/down/f").hardlink("d/linked", "d/new");
    if (!before) tar.opaque("d/");
    flat.with(tar);
    EXPECT_EQ(flat.tree(), (Tree{{"d", "dir 755"},
                                 {"d/new", "file 644  =d/linked"},
                                 {"d/linked", "file 644 "},
                                 {"d/deep", "dir 755"},
                                 {"d/deep/down", "dir 755"},
                                 {"d/deep/down/f", "file 644 "},
                                 {"link", "link d"},
                                 {"dead", "link nowhere"}}));
  }
}

TEST(LayerFlat, AnOpaqueRootHidesEverythingBelow) {
  Flat flat;
  flat.with(base()).with(TarBuilder().file("keep").opaque(""));
  EXPECT_EQ(flat.tree(), (Tree{{"keep", "file 644 "}}));
}

TEST(LayerFlat, WhiteoutsFollowSymlinkedParentsInsideAndDoNothingBelowDeadOnes) {
  Flat flat;
  flat.with(base()).with(TarBuilder()
                             .whiteout("link/", "one")
                             .whiteout("dead/", "x")
                             .whiteout("d/one/", "x")
                             .opaque("dead/"));
  EXPECT_FALSE(flat.tree().contains("d/one"));
  EXPECT_FALSE(flat.tree().contains("nowhere"));
  EXPECT_EQ(flat.tree().at("d/two"), "file 644 2");
}

TEST(LayerFlat, RefusesWhiteoutsThatNameNothing) {
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."}) {
    Flat flat;
    EXPECT_NE(flat.with(base()).error(TarBuilder().file(name)).find("whiteout of nothing"),
              std::string::npos)
        << name;
    EXPECT_TRUE(flat.tree().contains("d/one"));
  }
}

TEST(LayerFlat, TheWhiteoutPrefixMeansNothingInAFoldersName) {
  Flat flat;
  flat.with(base()).with(TarBuilder().file(".wh.d/file"));
  EXPECT_TRUE(flat.tree().contains(".wh.d/file"));
  EXPECT_TRUE(flat.tree().contains("d/one"));
}

TEST(LayerFlat, LeftoversOfAufsLinkAndVanish) {
  Flat flat;
  flat.with(TarBuilder()
                .file(".wh..wh.aufs")
                .dir(".wh..wh.plnk/")
                .file(".wh..wh.plnk/1.2", "data")
                .hardlink("f", ".wh..wh.plnk/1.2"));
  EXPECT_EQ(flat.tree(), (Tree{{"f", "file 644 data"}}));
}

TEST(LayerFlat, ReplacesAnythingByAnythingButMergesFolders) {
  Flat flat;
  flat.with(TarBuilder()
                .dir("a/", {.mode = 0700})
                .file("a/in")
                .file("b")
                .symlink("c", "a")
                .dir("e/")
                .file("e/in"));
  flat.with(TarBuilder().dir("a/", {.mode = 0711}).dir("b/").dir("c/").file("e", "now a file"));
  EXPECT_EQ(flat.tree(), (Tree{{"a", "dir 711"},
                               {"a/in", "file 644 "},
                               {"b", "dir 755"},
                               {"c", "dir 755"},
                               {"e", "file 644 now a file"}}));
}

TEST(LayerFlat, TheLastOfTwoEntriesOfOneNameWins) {
  Flat flat;
  flat.with(TarBuilder()
                .file("f", "1")
                .file("f", "22")
                .symlink("s", "x")
                .file("s", "3")
                .dir("d/")
                .file("d/in")
                .file("d", "4")
                .file("p")
                .file("p/child"));
  EXPECT_EQ(flat.tree(), (Tree{{"f", "file 644 22"},
                               {"s", "file 644 3"},
                               {"d", "file 644 4"},
                               {"p", "dir 755"},
                               {"p/child", "file 644 "}}));
}

TEST(LayerFlat, WritesThroughSymlinksInsideTheRootOnly) {
  Flat flat;
  ASSERT_EQ(::mkdir((flat.outer() / "victim").c_str(), 0755), 0);
  flat.with(TarBuilder()
                .symlink("rel", "../victim")
                .file("rel/f", "1")
                .symlink("abs", flat.outer() / "victim")
                .file("abs/g", "2")
                .symlink("hop", "rel2")
                .symlink("rel2", "../../../../../../../../tmp/hop")
                .file("hop/h", "3")
                .symlink("loop", "/."));
  EXPECT_TRUE(snapshot(flat.outer() / "victim").size() == 1) << "something was written outside";
  EXPECT_EQ(flat.tree().at("victim/f"), "file 644 1");
  EXPECT_EQ(flat.tree().at((flat.outer() / "victim/g").substr(1)), "file 644 2");
  EXPECT_EQ(flat.tree().at("tmp/hop/h"), "file 644 3");
}

TEST(LayerFlat, RefusesNamesThatLeaveTheRoot) {
  for (const char* name : {"../x", "/../x", "a/../../x", "..", "/..", "./.."}) {
    Flat flat;
    EXPECT_NE(flat.error(TarBuilder().file(name)).find("leaves the root"), std::string::npos)
        << name;
    EXPECT_EQ(snapshot(flat.outer().path()).size(), 2u) << name;  // itself and root/
  }
  Flat flat;
  EXPECT_NE(flat.error(TarBuilder().hardlink("h", "../../etc/passwd")).find("leaves the root"),
            std::string::npos);
  flat.with(TarBuilder().file("a//./b/../c/./d", "x"));
  EXPECT_EQ(flat.tree().at("a/c/d"), "file 644 x");
}

TEST(LayerFlat, RefusesToReplaceTheRoot) {
  for (const char* name : {".", "/", "./", "/."}) {
    EXPECT_NE(Flat().error(TarBuilder().symlink(name, "/tmp")).find("root"), std::string::npos)
        << name;
    EXPECT_NE(Flat().error(TarBuilder().whiteout("x/../", ".")).find("nothing"), std::string::npos);
  }
  Flat flat;
  flat.with(TarBuilder().dir("./", {.mode = 0711, .mtime = 77}).file("f"));
  EXPECT_EQ(snapshot(flat.path()).at(""), "dir 711");
  EXPECT_NE(snapshot(flat.path(), true).at("").find("@77.0"), std::string::npos);
}

TEST(LayerFlat, RefusesSymlinksThatGoRoundInCircles) {
  EXPECT_NE(
      Flat().error(TarBuilder().symlink("a", "b").symlink("b", "a").file("a/f")).find("symlinks"),
      std::string::npos);
}

TEST(LayerFlat, LinksHardLinksInsideWithTheTargetsMetadata) {
  Flat flat;
  flat.with(TarBuilder()
                .dir("etc/")
                .file("etc/f", "x", {.mode = 0600})
                .symlink("e", "/etc")
                .symlink("s", "etc/f"));
  flat.with(TarBuilder()
                .hardlink("h1", "e/f", {.mode = 0777})
                .hardlink("h2", "/etc/f")
                .hardlink("hs", "s")
                .hardlink("h1", "h1"));
  EXPECT_EQ(flat.tree(), (Tree{{"etc", "dir 755"},
                               {"etc/f", "file 600 x"},
                               {"e", "link /etc"},
                               {"s", "link etc/f =hs"},
                               {"hs", "link etc/f"},
                               {"h1", "file 600 x =etc/f"},
                               {"h2", "file 600 x =etc/f"}}));
  EXPECT_NE(flat.error(TarBuilder().hardlink("l", "later").file("later")).find("does not exist"),
            std::string::npos);
  EXPECT_NE(flat.error(TarBuilder().hardlink("l", "etc")).find("folder"), std::string::npos);
  EXPECT_NE(flat.error(TarBuilder().hardlink("etc", "etc/f")).find("holds its target"),
            std::string::npos);
}

TEST(LayerFlat, SetsXattrsButNeverThoseOfOverlayfs) {
  Flat flat;
  const auto done = flat.apply(TarBuilder()
                                   .pax({{"SCHILY.xattr.user.a", std::string("1\0\xff", 3)},
                                         {"SCHILY.xattr.user.overlay.opaque", "y"},
                                         {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                                         {"SCHILY.xattr.security.selinux", "label"}})
                                   .dir("d/")
                                   .bytes());
  ASSERT_TRUE(done);
  char value[8] = {};
  const std::string dir = flat.path() + "/d";
  if (::getxattr(dir.c_str(), "user.a", value, sizeof value) < 0)
    GTEST_SKIP() << "the file system has no user.* xattrs";
  EXPECT_EQ(std::string(value, 3), std::string("1\0\xff", 3));
  EXPECT_LT(::getxattr(dir.c_str(), "user.overlay.opaque", value, sizeof value), 0);
  EXPECT_LT(::getxattr(dir.c_str(), "trusted.overlay.redirect", value, sizeof value), 0);
  EXPECT_EQ(done->warnings.size(), 2u);
  flat.with(TarBuilder().dir("d/"));  // described anew, without attributes
  EXPECT_LT(::getxattr(dir.c_str(), "user.a", value, sizeof value), 0);
}

TEST(LayerFlat, KeepsOwnersSetuidAndCapabilitiesAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "owners need root";
  Flat flat;
  const std::string capability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  flat.with(TarBuilder()
                .dir("setgid/", {.mode = 02755, .uid = 5, .gid = 6})
                .file("setgid/f", "", {.mode = 04755, .uid = 1000, .gid = 1001})
                .file("setgid/rootfile")
                .pax({{"SCHILY.xattr.security.capability", capability}})
                .file("cap", "x", {.mode = 0755, .uid = 1}));
  const Tree tree = flat.tree(/*full=*/true);
  EXPECT_TRUE(tree.at("setgid").starts_with("dir 2755 5:6"));
  EXPECT_TRUE(tree.at("setgid/f").starts_with("file 4755  1000:1001"));
  EXPECT_TRUE(tree.at("setgid/rootfile").starts_with("file 644  0:0"));
  EXPECT_NE(tree.at("cap").find("security.capability=" + capability), std::string::npos);
}

TEST(LayerFlat, MakesDevicesAsRootAndCountsThemElsewhere) {
  const std::string tar = TarBuilder().char_device("null", 1, 3).char_device("zero", 0, 0).bytes();
  Flat flat;
  auto options = options_for(IdMap::single);
  auto done = flat.apply(tar, options);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->skipped_devices, 2u);
  EXPECT_TRUE(flat.tree().empty());
  if (::geteuid() != 0) GTEST_SKIP() << "devices need root";
  done = flat.apply(tar, options_for(IdMap::root));
  ASSERT_TRUE(done);
  if (done->skipped_devices == 2) GTEST_SKIP() << "this root may not make devices";
  EXPECT_EQ(flat.tree(), (Tree{{"null", "char 644"}}));  // 0:0 would be a whiteout
}

TEST(LayerFlat, WritesHolesAsHoles) {
  Flat flat;
  flat.with(TarBuilder()
                .pax({{"GNU.sparse.size", "1073741824"}, {"GNU.sparse.map", "1048576,3"}})
                .file("s", "abc"));
  struct stat st {};
  ASSERT_EQ(::stat((flat.path() + "/s").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 1073741824);
  EXPECT_LT(st.st_blocks * 512, 1 << 20);
}

TEST(LayerFlat, CountsLogicalBytesSoThatAFewBytesCannotClaimTheDisk) {
  auto options = options_for(test_map());
  options.limits.max_logical_bytes = 1000;
  Flat flat;
  EXPECT_TRUE(flat.apply(TarBuilder().file("a", std::string(600, 'x')).bytes(), options));
  auto refused = flat.apply(
      TarBuilder().file("a", std::string(600, 'x')).file("b", std::string(600, 'x')).bytes(),
      options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::invalid_input);
  const std::string sparse =
      TarBuilder()
          .pax({{"GNU.sparse.size", "60000000000000"}, {"GNU.sparse.map", "0,3"}})
          .file("s", "abc")
          .bytes();
  EXPECT_FALSE(flat.apply(sparse));
}

TEST(LayerFlat, RefusesNamesBeyondTheLimits) {
  const auto with_path = [](const std::string& path) {
    return TarBuilder().pax({{"path", path}}).file("x");
  };
  EXPECT_NE(Flat().error(with_path(std::string(256, 'n'))).find("255 bytes"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 257; ++i) deep += "d/";
  EXPECT_NE(Flat().error(with_path(deep)).find("256 folders"), std::string::npos);
  std::string nearly;
  for (int i = 0; i < 255; ++i) nearly += "d/";
  EXPECT_EQ(Flat().error(with_path(nearly + "f")), "applied");
}

TEST(LayerFlat, SaysWhatItReadAndStopsWhenAsked) {
  Flat flat;
  const std::string tar = TarBuilder().file("f", std::string(5000, 'x')).bytes() + "trailing";
  std::uint64_t told = 0;
  auto options = options_for(test_map());
  options.progress = [&told](std::uint64_t bytes) { told = bytes; };
  const auto done = flat.apply(tar, options);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->diff_id, Digest::of(tar));
  EXPECT_EQ(done->bytes, tar.size());
  EXPECT_EQ(told, tar.size());
  EXPECT_EQ(done->entries, 1u);
  std::stop_source stop;
  stop.request_stop();
  options.stop = stop.get_token();
  const auto stopped = flat.apply(tar, options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Errc::cancelled);
}

// --- overlay form ---

TEST(LayerOverlay, WritesWhiteoutsAsDevicesAndOpaqueFoldersAsXattrs) {
  Stack stack;
  stack.with(base()).with(
      TarBuilder().dir("d/").whiteout("d/", "one").dir("e/").opaque("e/").whiteout("", "link"));
  EXPECT_EQ(
      stack.top(),
      (Tree{{"d", "dir 755"}, {"d/one", "whiteout"}, {"e", "dir 755"}, {"link", "whiteout"}}));
  EXPECT_FALSE(stack.opaque("d"));
  EXPECT_TRUE(stack.opaque("e"));
  EXPECT_FALSE(stack.used_lowers);  // so that the layer may be shared
}

TEST(LayerOverlay, WhiteoutsNeverHideEntriesOfTheirOwnLayerInEitherOrder) {
  for (const bool before : {true, false}) {
    Stack stack;
    TarBuilder tar;
    tar.dir("d/");
    if (before) tar.whiteout("d/", "one").whiteout("d/", "sub");
    tar.file("d/one", "new").dir("d/sub/").file("d/sub/y");
    if (!before) tar.whiteout("d/", "one").whiteout("d/", "sub");
    stack.with(base()).with(tar);
    EXPECT_EQ(stack.top(), (Tree{{"d", "dir 755"},
                                 {"d/one", "file 644 new"},
                                 {"d/sub", "dir 755"},
                                 {"d/sub/y", "file 644 "}}));
    EXPECT_TRUE(stack.opaque("d/sub")) << before;
  }
}

TEST(LayerOverlay, ImpliedFoldersLookAsTheyDoBelow) {
  Stack stack;
  stack.with(TarBuilder().dir("d/", {.mode = 01700, .mtime = 5000}).file("d/f"))
      .with(TarBuilder().file("d/new", "", {.mtime = 9}));
  EXPECT_TRUE(stack.top().at("d").starts_with("dir 1700"));
  EXPECT_NE(stack.top(/*full=*/true).at("d").find("@5000.0"), std::string::npos);
  EXPECT_TRUE(stack.used_lowers);
}

TEST(LayerOverlay, EntriesBelowASymlinkOfALowerLayerLandInItsTarget) {
  Stack stack;
  stack.with(TarBuilder()
                 .dir("usr/")
                 .dir("usr/lib/", {.mode = 0711})
                 .symlink("lib", "usr/lib")
                 .symlink("var", "/usr/../data"));
  stack.with(TarBuilder().file("other"));
  stack.with(TarBuilder().file("lib/x", "x").file("var/y", "y").whiteout("lib/", "gone"));
  EXPECT_EQ(stack.top(), (Tree{{"usr", "dir 755"},
                               {"usr/lib", "dir 711"},
                               {"usr/lib/x", "file 644 x"},
                               {"usr/lib/gone", "whiteout"},
                               {"data", "dir 755"},
                               {"data/y", "file 644 y"}}));
  // But a folder that this layer names itself takes the symlink's place.
  stack.with(TarBuilder().dir("lib/").file("lib/x"));
  EXPECT_EQ(stack.top(), (Tree{{"lib", "dir 755"}, {"lib/x", "file 644 "}}));
}

TEST(LayerOverlay, AFolderThatReplacesALowerSymlinkAfterItWasUsedIsUsedFromThenOn) {
  Stack stack;
  stack.with(TarBuilder().dir("usr/").dir("usr/lib/").symlink("lib", "usr/lib"));
  stack.with(TarBuilder().file("lib/one").dir("lib/").file("lib/two"));
  EXPECT_EQ(stack.top(), (Tree{{"usr", "dir 755"},
                               {"usr/lib", "dir 755"},
                               {"usr/lib/one", "file 644 "},
                               {"lib", "dir 755"},
                               {"lib/two", "file 644 "}}));
}

TEST(LayerOverlay, HardLinksIntoLowerLayersCopyTheFileUp) {
  Stack stack;
  stack.with(TarBuilder()
                 .dir("d/", {.mode = 0750})
                 .file("d/f", "content", {.mode = 04711, .mtime = 123})
                 .symlink("d/s", "f"));
  stack.with(TarBuilder().hardlink("h", "d/f").hardlink("hs", "d/s"));
  EXPECT_EQ(stack.top(), (Tree{{"d", "dir 750"},
                               {"d/f", "file 4711 content"},
                               {"d/s", "link f"},
                               {"h", "file 4711 content =d/f"},
                               {"hs", "link f =d/s"}}));
  EXPECT_NE(stack.top(true).at("h").find("@123.0"), std::string::npos);
  stack.with(TarBuilder().dir("d/").whiteout("d/", "f"));
  auto gone = stack.apply(TarBuilder().hardlink("again", "d/f").bytes());
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message().find("does not exist"), std::string::npos);
}

TEST(LayerOverlay, AFolderWhereSomethingWasTakenAwayHidesTheOneBelow) {
  Stack stack;
  stack.with(base()).with(TarBuilder().whiteout("", "d").dir("d/").file("d/own").file("d/sub/own"));
  EXPECT_TRUE(stack.opaque("d"));
  EXPECT_EQ(stack.top().at("d/sub"), "dir 755");
  EXPECT_FALSE(stack.used_lowers);
  stack.with(TarBuilder().file("d", "a file").dir("d/"));
  EXPECT_TRUE(stack.opaque("d"));
}

TEST(LayerOverlay, DoesNotAskForLowerLayersItDoesNotNeed) {
  TempDir dir;
  const std::string target = dir.make("0");
  LowerLayers lowers;
  lowers.wait = []() -> Result<std::vector<std::string>> { return Error(Errc::failed, "asked"); };
  const auto apply = [&](const TarBuilder& tar) {
    StringSource source(tar.bytes());
    const UniqueFd fd(::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return apply_layer_overlay(source, "", fd.get(), lowers, options_for(test_map()));
  };
  EXPECT_TRUE(apply(TarBuilder()
                        .dir("a/")
                        .dir("a/b/")
                        .file("a/b/f")
                        .whiteout("a/", "x")
                        .opaque("a/b/")
                        .symlink("s", "a/b")
                        .file("s/g")
                        .hardlink("h", "a/b/f")
                        .whiteout("", "w")));
  const auto asked = apply(TarBuilder().file("missing/f"));
  ASSERT_FALSE(asked);
  EXPECT_NE(asked.error().message().find("asked"), std::string::npos);
}

// --- both forms must come to the same ---

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  unsigned operator()(unsigned below) { return static_cast<unsigned>(engine_() % below); }

 private:
  std::mt19937 engine_;
};

std::string random_path(Random& random) {
  static const char* const names[] = {"a", "b", "c", "l"};
  std::string path;
  for (unsigned depth = 1 + random(3); depth-- > 0;)
    path += (path.empty() ? "" : "/") + std::string(names[random(4)]);
  return path;
}

std::string random_layer(Random& random) {
  TarBuilder tar;
  for (unsigned n = random(14); n-- > 0;) {
    const std::string path = random_path(random);
    const TarBuilder::Fields fields{.mode = 0600u | random(0200),
                                    .uid = random(3),
                                    .gid = random(3),
                                    .mtime = 1000 + random(1000)};
    const std::string folder =
        std::string(parent_path(path)) + (path.find('/') == std::string::npos ? "" : "/");
    switch (random(9)) {
      case 0:
      case 1:
        tar.file(path, std::to_string(random(1000)), fields);
        break;
      case 2:
      case 3:
        tar.dir(path, fields);
        break;
      case 4:
        tar.symlink(path,
                    (random(3) == 0   ? "/"
                     : random(2) == 0 ? "../"
                                      : "") +
                        random_path(random),
                    fields);
        break;
      case 5:
        tar.whiteout(folder, std::string(last_part(path)));
        break;
      case 6:
        tar.opaque(random(4) == 0 ? "" : folder);
        break;
      case 7:
        tar.hardlink(path, random_path(random), fields);
        break;
      default:
        tar.file(path, "x", fields);
        break;
    }
  }
  return tar.bytes();
}

TEST(LayerBothForms, RandomLayersComeToTheSameTree) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting overlayfs needs root";
  const char* more = std::getenv("LOCALD_SEEDS");  // for a longer run
  const unsigned seeds = more != nullptr ? static_cast<unsigned>(std::atoi(more))
                                         : 300;  // each takes a mount, whose end can be slow
  unsigned applied = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    Random random(seed);
    Flat flat;
    Stack stack;
    for (unsigned layers = 1 + random(4); layers-- > 0;) {
      const std::string tar = random_layer(random);
      // A layer that one form refuses, the other must refuse too; both trees end there.
      const auto one = flat.apply(tar);
      const auto other = stack.apply(tar);
      ASSERT_EQ(one.has_value(), other.has_value())
          << "seed " << seed << ": " << (one ? other.error().message() : one.error().message());
      if (!one) goto next_seed;
      ++applied;
    }
    ASSERT_EQ(flat.tree(/*full=*/true), stack.merged()) << "seed " << seed;
  next_seed:;
  }
  EXPECT_GT(applied, seeds / 3);
}

}  // namespace
}  // namespace locald::oci
