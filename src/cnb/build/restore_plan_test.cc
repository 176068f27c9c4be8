#include "cnb/build/restore_plan.h"

#include <gtest/gtest.h>

#include <map>

namespace locald::cnb {
namespace {

GenerationLayer layer(const std::string& types) {
  GenerationLayer l{.name = types};
  l.launch = types.find('l') != std::string::npos;
  l.build = types.find('b') != std::string::npos;
  l.cache = types.find('c') != std::string::npos;
  l.data = Json::object({{"n", 1}, {"m", types}});
  l.tree = "tree-" + types;
  return l;
}

Generation with_all_types() {
  Generation g;
  g.buildpacks.push_back({.id = "t/alpha", .version = "1"});
  for (const char* types : {"l", "lb", "lc", "lbc", "c", "bc"})
    g.buildpacks[0].layers.push_back(layer(types));
  return g;
}

TEST(RestorePlan, FollowsTheTableOfLayerTypes) {
  const RestorePlan plan = plan_restore(with_all_types(), {{"t/alpha", "1", "0.10", ""}}).value();
  std::map<std::string, std::string> restored;
  for (const RestoredLayer& l : plan.layers) {
    EXPECT_EQ(l.buildpack, "t_alpha");
    restored[l.name] = l.tree;
  }
  // Content for what is cached, metadata alone for the image's, nothing for launch and build.
  EXPECT_EQ(
      restored,
      (std::map<std::string, std::string>{
          {"l", ""}, {"lc", "tree-lc"}, {"lbc", "tree-lbc"}, {"c", "tree-c"}, {"bc", "tree-bc"}}));
}

TEST(RestorePlan, WritesMetadataAsTheLifecycleDoes) {
  Generation g = with_all_types();
  g.buildpacks[0].layers.resize(1);
  g.buildpacks[0].store = Json::object({{"count", 3}});
  RestorePlan plan = plan_restore(g, {{"t/alpha", "2", "0.10", ""}}).value();
  ASSERT_EQ(plan.layers.size(), 1u) << "another version of it is the same buildpack";
  // Through JSON, so whole numbers have become floats; keys sorted; no types.
  EXPECT_EQ(plan.layers[0].toml, "[metadata]\n  m = \"l\"\n  n = 1.0\n");
  EXPECT_EQ(plan.stores[0].second, "[metadata]\n  count = 3.0\n");
  g.buildpacks[0].layers[0].data = Json();
  EXPECT_EQ(plan_restore(g, {{"t/alpha", "2", "", ""}}).value().layers[0].toml, "");
}

TEST(RestorePlan, LeavesOutWhatIsNotInTheGroupOrLost) {
  Generation g = with_all_types();
  EXPECT_TRUE(plan_restore(g, {{"t/beta", "1", "", ""}}).value().layers.empty());
  g.buildpacks[0].layers = {layer("lc")};
  g.buildpacks[0].layers[0].tree.clear();
  EXPECT_TRUE(plan_restore(g, {{"t/alpha", "1", "", ""}}).value().layers.empty())
      << "cached, but its content is gone: it must be made anew";
}

}  // namespace
}  // namespace locald::cnb
