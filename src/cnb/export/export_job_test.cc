#include "cnb/export/export_job.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/sys/fs_at.h"
#include "cnb/export/app_image.h"
#include "cnb/jobs.h"
#include "cnb/store/generation.h"
#include "oci/archive/decompress.h"
#include "oci/archive/tar_reader.h"
#include "oci/layer/test_tree.h"
#include "oci/store/image_layout.h"

namespace locald::cnb {
namespace {

using Names = std::vector<std::string>;

/// An app's folder with one generation, and an image store.
struct World {
  World() : images(*oci::ImageLayout::open_or_create(dir / "images")) {
    const auto file = [&](const std::string& path, const std::string& text) {
      (void)make_dirs(dir / ("app/" + path.substr(0, path.rfind('/'))), 0755);
      ASSERT_TRUE(write_file_atomic(dir / ("app/" + path), text, 0644)) << path;
    };
    file("t/aaaa/layers/a_b/one/file", "content of a layer");
    file("t/cccc/layers/a_b/kept/file", "for the next build alone");
    file("g/3/root/workspace/src/main", "main");
    file("g/3/root/workspace/src.txt", "sorts before src/main");
    file("g/3/root/layers/config/metadata.toml", "");
    file("g/3/root/layers/sbom/launch/sbom.legacy.json", "[]");
    file("g/3/root/cnb/lifecycle/launcher", "ELF");
    g.number = g.root = 3;
    g.uid = 1001;
    g.gid = 1000;
    g.builder_digest = "sha256:b";
    g.buildpacks.push_back({.id = "a/b",
                            .layers = {{.name = "kept", .cache = true, .tree = "cccc"},
                                       {.name = "one", .launch = true, .tree = "aaaa"}}});
    g.processes = {{.type = "web"}, {.type = "worker"}};
    g.launch_sbom = true;
  }

  Result<Json> run(const PackedLayers& known = {}, const char* id_map = "root") {
    const ExportJob job{.app = {.top = dir / "app", .uid = ::getuid(), .gid = ::getgid()},
                        .generation = g.to_json(),
                        .known = to_json(known),
                        .owner = {g.uid, g.gid},
                        .world = {.images = dir / "images", .id_map = id_map}};
    return export_job(encode(job), [](const Json&) {});
  }

  struct Entry {
    std::string path, link;
    std::uint32_t uid, gid, mode;
  };
  std::vector<Entry> entries(const PackedLayer& layer) {
    const auto source = *images.open_verified(layer.blob);
    oci::Decompressor tar(*source, layer.blob.media_type, oci::LayerLimits());
    oci::TarReader reader(tar, oci::LayerLimits());
    std::vector<Entry> out;
    for (oci::TarEntry e; *reader.next(e);) {
      EXPECT_EQ(e.mtime.tv_sec, 315532801);
      out.push_back({e.path, e.link, e.uid, e.gid, e.mode});
    }
    return out;
  }
  Names names(const PackedLayer& layer) {
    Names out;
    for (const Entry& entry : entries(layer)) out.push_back(entry.path);
    return out;
  }
  /// The layers in their order.
  std::vector<PackedLayer> layers(const Json& result) {
    const PackedLayers packed = packed_layers_from_json(result["packed"]);
    std::vector<PackedLayer> out;
    for (const AppLayer& layer : app_layers(g)) out.push_back(packed.at(layer.key));
    return out;
  }

  oci::test::TempDir dir;
  oci::ImageLayout images;
  Generation g;
};

TEST(ExportJob, PacksEachLayerWithTheFoldersAboveIt) {
  World world;
  const auto done = world.run();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ((*done)["made"].as_int(), 6);
  const auto layers = world.layers(*done);
  ASSERT_EQ(layers.size(), 6u);
  EXPECT_EQ(world.names(layers[0]),
            (Names{"/layers", "/layers/a_b", "/layers/a_b/one", "/layers/a_b/one/file"}));
  EXPECT_EQ(world.names(layers[1]), (Names{"/layers", "/layers/sbom", "/layers/sbom/launch",
                                           "/layers/sbom/launch/sbom.legacy.json"}));
  EXPECT_EQ(world.names(layers[2]),
            (Names{"/workspace", "/workspace/src", "/workspace/src.txt", "/workspace/src/main"}));
  EXPECT_EQ(world.names(layers[3]), (Names{"/cnb", "/cnb/lifecycle", "/cnb/lifecycle/launcher"}));
  EXPECT_EQ(world.names(layers[4]),
            (Names{"/layers", "/layers/config", "/layers/config/metadata.toml"}));
  EXPECT_EQ(world.names(layers[5]),
            (Names{"/cnb", "/cnb/process", "/cnb/process/web", "/cnb/process/worker"}));
  EXPECT_EQ(world.entries(layers[5])[2].link, "/cnb/lifecycle/launcher");
}

TEST(ExportJob, ContentsAreTheBuildUsersAndParentsAsTheyAre) {
  World world;
  const auto layers = world.layers(*world.run());
  const auto own = world.entries(layers[0]);
  EXPECT_EQ(own[0].uid, ::getuid());
  EXPECT_EQ(own[1].gid, ::getgid());
  EXPECT_EQ(own[2].uid, 1001u);
  EXPECT_EQ(own[3].gid, 1000u);
  EXPECT_EQ(world.entries(layers[2])[0].uid, 1001u);
  EXPECT_EQ(world.entries(layers[3])[2].uid, 0u);
  EXPECT_EQ(world.entries(layers[3])[2].mode, 0755u);
}

TEST(ExportJob, UnderAMapOfOneIdEverythingIsTheBuildUsers) {
  World world;
  for (const auto& entry : world.entries(world.layers(*world.run({}, "single"))[0])) {
    EXPECT_EQ(entry.uid, 1001u) << entry.path;
    EXPECT_EQ(entry.gid, 1000u) << entry.path;
  }
}

TEST(ExportJob, WhatIsKnownIsNotPackedAgainWhileItIsThere) {
  World world;
  const auto first = world.run();
  ASSERT_TRUE(first);
  PackedLayers known = packed_layers_from_json((*first)["packed"]);
  const auto second = world.run(known);
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)["made"].as_int(), 0);
  EXPECT_EQ((*second)["packed"], (*first)["packed"]);
  world.images.drop_blob(known.begin()->second.blob.digest);
  const auto third = world.run(known);
  ASSERT_TRUE(third);
  EXPECT_EQ((*third)["made"].as_int(), 1);
  EXPECT_EQ((*third)["packed"], (*first)["packed"]);
}

TEST(ExportJob, SlicesAreLayersAndMayBeEmpty) {
  World world;
  world.g.slices = {{"src"}, {"nowhere"}};
  const auto done = world.run();
  ASSERT_TRUE(done) << done.error().text();
  const auto layers = world.layers(*done);
  ASSERT_EQ(layers.size(), 8u);
  EXPECT_EQ(world.names(layers[2]), (Names{"/workspace", "/workspace/src", "/workspace/src/main"}));
  EXPECT_EQ(world.names(layers[3]), Names{});
  EXPECT_EQ(world.names(layers[4]), (Names{"/workspace", "/workspace/src.txt"}));
  world.g.slices = {{"[src"}};
  EXPECT_EQ(world.run().error().code(), Errc::invalid_input);
}

TEST(ExportJob, APartThatIsGoneIsAnError) {
  World world;
  ASSERT_TRUE(remove_tree(world.dir / "app/t/aaaa"));
  const auto done = world.run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::not_found);
  EXPECT_EQ(oci::test::snapshot(world.dir / "images/ingest").size(), 1u);
}

TEST(ExportJob, NoSymlinkLeadsOutOfTheApp) {
  World world;
  world.dir.make("outside");
  ASSERT_TRUE(write_file_atomic(world.dir / "outside/secret", "secret"));
  ASSERT_TRUE(remove_tree(world.dir / "app/t/aaaa/layers/a_b/one"));
  ASSERT_EQ(
      ::symlink((world.dir / "outside").c_str(), (world.dir / "app/t/aaaa/layers/a_b/one").c_str()),
      0);
  EXPECT_FALSE(world.run());
}

}  // namespace
}  // namespace locald::cnb
