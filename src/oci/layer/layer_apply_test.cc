#include "oci/layer/layer_apply_fixture.h"

namespace locald::oci {
namespace {

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

}  // namespace
}  // namespace locald::oci
