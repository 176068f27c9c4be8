#include "cnb/inputs/order.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

Modules modules(const std::vector<std::pair<std::string, std::string>>& names) {
  Modules out;
  for (const auto& [id, version] : names) out.add({.id = id, .version = version, .api = "0.10"});
  return out;
}

/// "a/x@1 b/y@2? | …", a question mark where it is optional.
std::string shown(const Order& order) {
  std::string out;
  for (const OrderGroup& group : order) {
    if (&group != &order.front()) out += " |";
    for (const OrderEntry& e : group)
      out += (out.empty() ? "" : " ") + e.id + "@" + e.version + (e.optional ? "?" : "");
  }
  return out;
}

const Order kBuilders = {{{"b/one", "1"}, {"b/two", "", true}}, {{"b/three", "3"}}};

oci::ImageConfig config(std::map<std::string, std::string> labels) {
  oci::ImageConfig out;
  out.labels = std::move(labels);
  return out;
}

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kLayers = R"({"b/one":{"1.0":{"api":"0.8","layerDiffID":")" + kDigest +
                            R"("}},"b/meta":{"2.0":{"api":"0.10","order":[{"group":[)" +
                            R"({"id":"b/one","version":"1.0","optional":true}]}],"layerDiffID":")" +
                            kDigest + R"("}}})";

TEST(Order, OfAGroupIsItsMembersInTheirOrder) {
  EXPECT_EQ(shown(order_of_group({OrderEntry{"a", "1"}, OrderEntry{"b", "2"}}, kBuilders)),
            "a@1 b@2");
}

TEST(Order, OfAGroupWithTheBuildersOrderIsThatWithWhatStandsBeforeAndAfter) {
  EXPECT_EQ(shown(order_of_group({OrderEntry{"a", "1"}, BuilderOrder{}, OrderEntry{"z", "9"}},
                                 kBuilders)),
            "a@1 b/one@1 b/two@? z@9 | a@1 b/three@3 z@9");
  EXPECT_EQ(shown(order_of_group({BuilderOrder{}}, kBuilders)), shown(kBuilders));
}

TEST(Order, PreAndPostKeepTheOrderOfTheFile) {
  EXPECT_EQ(shown(order_between({{"a", "1"}, {"b", "1"}}, kBuilders, {{"y", "1"}, {"z", "1"}})),
            "a@1 b@1 b/one@1 b/two@? y@1 z@1 | a@1 b@1 b/three@3 y@1 z@1");
}

TEST(Order, IsWrittenAsTheLifecycleReadsIt) {
  EXPECT_EQ(order_toml({{{"a/x", "1", false}, {"b", "2", true}}, {{"c", "3"}}}),
            "[[order]]\n\n  [[order.group]]\n    id = \"a/x\"\n    version = \"1\"\n\n"
            "  [[order.group]]\n    id = \"b\"\n    version = \"2\"\n    optional = true\n\n"
            "[[order]]\n\n  [[order.group]]\n    id = \"c\"\n    version = \"3\"\n");
  EXPECT_EQ(order_toml({}), "");
}

TEST(Order, GoesThroughJsonUnchanged) {
  const Order order = {{{"a/x", "1", true}, {"b", "", false}}, {{"c", "3"}}};
  EXPECT_EQ(order_from_json(to_json(order)).value(), order);
  EXPECT_EQ(order_from_json(Json()).value(), Order());
}

TEST(Order, RefusesIdsAndVersionsThatLeadOutOfAFolder) {
  for (const char* text :
       {R"([{"group":[{"id":"a/../b"}]}])", R"([{"group":[{"id":"/a"}]}])",
        R"([{"group":[{"id":"a","version":".."}]}])", R"([{"group":[{"id":"a","version":"1/2"}]}])",
        R"([{"group":[{}]}])", R"({"group":[]})", R"([{"group":[{"id":"a","optional":"yes"}]}])"}) {
    const auto order = order_from_json(Json::parse(text).value());
    EXPECT_FALSE(order) << text;
  }
}

TEST(Modules, KnowTheOnlyVersionAndAskWhereThereAreSeveral) {
  const Modules all = modules({{"a", "1"}, {"b", "1"}, {"b", "2"}});
  EXPECT_EQ(all.version_of("a", "").value(), "1");
  EXPECT_EQ(all.version_of("b", "2").value(), "2");
  const auto several = all.version_of("b", "");
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().code(), Errc::invalid_input);
  EXPECT_EQ(several.error().message(), "there are several versions of the buildpack b: 1, 2");
  EXPECT_EQ(several.error().hint(), "say which: version = \"2\"");
  const auto other = all.version_of("b", "3");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message(), "there is no buildpack b of version 3, but of 1, 2");
}

TEST(Modules, SuggestWhatATypoMeant) {
  const auto near = modules({{"acme/node", "1"}, {"acme/ruby", "1"}}).version_of("acme/nde", "");
  ASSERT_FALSE(near);
  EXPECT_EQ(near.error().code(), Errc::not_found);
  EXPECT_EQ(near.error().hint(), "did you mean acme/node?");
  EXPECT_EQ(modules({{"a", "1"}, {"b", "1"}}).version_of("quite-different", "").error().hint(),
            "there is a, b");
}

TEST(Order, IsCompletedWithTheVersionsThereAre) {
  EXPECT_EQ(
      shown(
          complete(kBuilders, modules({{"b/one", "1"}, {"b/two", "2"}, {"b/three", "3"}})).value()),
      "b/one@1 b/two@2? | b/three@3");
  EXPECT_EQ(complete(kBuilders, modules({{"b/one", "1"}})).error().code(), Errc::not_found);
}

TEST(Order, OfAnAddedCompositeBuildpackNeedsItsParts) {
  Modules all = modules({{"part", "1"}});
  Module meta{.id = "meta", .version = "1", .api = "0.10", .order = {{{"part", "1"}, {"no", "2"}}}};
  all.add(meta);
  EXPECT_TRUE(complete({{{"meta", ""}}}, all)) << "the builder's own is its maker's affair";
  meta.added = true;
  all.add(meta);
  const auto missing = complete({{{"meta", ""}}}, all);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(),
            "the buildpack meta@1 is made of others, and no@2 of these is not there");
  // One that names itself is the lifecycle's to refuse, and no endless walk.
  all.add({.id = "no", .version = "2", .order = {{{"meta", "1"}, {"no", "2"}}}, .added = true});
  EXPECT_TRUE(complete({{{"meta", ""}}}, all));
}

TEST(ImageModules, ReadsABuildersLabels) {
  const auto read = ImageModules::of_builder(
      config({{"io.buildpacks.buildpack.layers", kLayers},
              {"io.buildpacks.buildpack.order", R"([{"group":[{"id":"b/meta"}]}])"}}));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(shown(read->order), "b/meta@");
  EXPECT_EQ(read->modules.find("b/one", "1.0")->api, "0.8");
  EXPECT_EQ(shown(read->modules.find("b/meta", "2.0")->order), "b/one@1.0?");
  EXPECT_EQ(read->layers.at({"b/one", "1.0"}).str(), kDigest);
  // A builder without these labels has no buildpacks that could be named.
  EXPECT_TRUE(ImageModules::of_builder(config({}))->order.empty());
}

TEST(ImageModules, ReadsAPackagesLabels) {
  const auto read = ImageModules::of_package(
      config({{"io.buildpacks.buildpack.layers", kLayers},
              {"io.buildpacks.buildpackage.metadata", R"({"id":"b/meta","version":"2.0"})"}}));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->main_id + "@" + read->main_version, "b/meta@2.0");
}

TEST(ImageModules, RefusesLabelsThatAreMissingOrDamaged) {
  const std::string package = "io.buildpacks.buildpackage.metadata",
                    layers = "io.buildpacks.buildpack.layers";
  EXPECT_EQ(
      ImageModules::of_package(config({{layers, kLayers}})).error().message(),
      "it is not a package of buildpacks: it has no label io.buildpacks.buildpackage.metadata");
  for (const std::string& bad :
       {std::string("{"), std::string(R"({"a/../b":{"1":{}}})"), std::string(R"({"a":{"..":{}}})"),
        std::string(R"({"a":{"1":{"api":"0.10"}}})"),
        R"({"a":{"1":{"layerDiffID":")" + kDigest + R"(","order":1}}})"})
    EXPECT_FALSE(ImageModules::of_builder(config({{layers, bad}}))) << bad;
  EXPECT_FALSE(
      ImageModules::of_package(config({{layers, kLayers}, {package, R"({"id":"b/one"})"}})))
      << "a version that is not there";
}

}  // namespace
}  // namespace locald::cnb
