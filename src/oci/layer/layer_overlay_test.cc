// Layers as overlayfs takes them; and both forms beside each other.
#include "oci/layer/layer_apply_fixture.h"

namespace locald::oci {
namespace {

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
