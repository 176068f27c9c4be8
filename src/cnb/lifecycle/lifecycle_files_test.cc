#include "cnb/lifecycle/lifecycle_files.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

TEST(LifecycleFiles, WritesWhatThePhasesRead) {
  EXPECT_EQ(run_toml({{"x/run:1", {"gcr.io/x/run"}}}),
            "[[images]]\n  image = \"x/run:1\"\n  mirrors = [\"gcr.io/x/run\"]\n");
  oci::ImageConfig run;
  run.platform = {"linux", "arm64", "v8"};
  run.labels = {{"io.buildpacks.base.distro.name", "debian"},
                {"io.buildpacks.base.distro.version", "12"}};
  EXPECT_EQ(analyzed_toml("x/run:1", run),
            "[run-image]\n  reference = \"x/run:1\"\n  image = \"x/run:1\"\n"
            "  [run-image.target]\n    os = \"linux\"\n    arch = \"arm64\"\n"
            "    arch-variant = \"v8\"\n    [run-image.target.distro]\n      name = \"debian\"\n"
            "      version = \"12\"\n");
  EXPECT_EQ(project_metadata_toml(Json()), "");
}

TEST(LifecycleFiles, ReadsWhatTheBuilderLeaves) {
  const BuildMetadata m = parse_build_metadata(R"(buildpack-default-process-type = "web"

[[buildpacks]]
  id = "t/a"
  version = "1"
  api = "0.10"

[[labels]]
  key = "k"
  value = "v"

[[processes]]
  type = "web"
  command = ["bash", "web.sh"]
  direct = true
  buildpack-id = "t/a"

[[processes]]
  type = "w"
  command = ["x"]
  args = []
  working-dir = "/d"

[[slices]]
  paths = ["static/**", "x"]
)")
                              .value();
  EXPECT_EQ(m.default_process, "web");
  EXPECT_EQ(m.buildpacks[0].api, "0.10");
  EXPECT_EQ(m.processes[0].command, (std::vector<std::string>{"bash", "web.sh"}));
  EXPECT_FALSE(m.processes[0].has_args);
  EXPECT_TRUE(m.processes[1].has_args);
  EXPECT_EQ(m.processes[1].working_dir, "/d");
  EXPECT_EQ(m.slices[0].size(), 2u);
  EXPECT_EQ(m.labels[0].second, "v");
  EXPECT_FALSE(parse_build_metadata("[[processes]]\ntype = \"a/b\"\ncommand = [\"x\"]\n"));
  EXPECT_FALSE(parse_build_metadata("[[processes]]\ntype = 1\n"));
}

TEST(LifecycleFiles, ReadsLayersAsTheExporterDoes) {
  const LayerToml layer =
      parse_layer_toml("[types]\nlaunch = true\n[metadata]\nn = 1\n", "a:b").value();
  EXPECT_TRUE(layer.launch);
  EXPECT_FALSE(layer.cache);
  EXPECT_EQ(layer.metadata["n"].as_int(), 1);
  EXPECT_TRUE(parse_layer_toml("", "x").value().metadata.is_nothing());
  EXPECT_FALSE(parse_layer_toml("launch = true\n", "x")) << "the flags of Buildpack API 0.5";
  EXPECT_FALSE(parse_layer_toml("[types]\nlaunch = \"yes\"\n", "x"));
  EXPECT_FALSE(parse_layer_toml("types = 1\n", "x"));
  EXPECT_FALSE(parse_layer_toml("[", "x"));
}

}  // namespace
}  // namespace locald::cnb
