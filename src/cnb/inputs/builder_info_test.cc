#include "cnb/inputs/builder_info.h"

#include <gtest/gtest.h>

namespace locald::cnb {
namespace {

oci::ImageConfig builder(const std::string& platform_apis = R"(["0.7","0.12","0.13"])") {
  oci::ImageConfig config;
  config.env = {"PATH=/bin", "CNB_USER_ID=1001", "CNB_GROUP_ID=1000"};
  config.labels["io.buildpacks.builder.metadata"] =
      R"({"buildpacks":[{"id":"a/b","version":"1"},{"id":"c","version":"2"},{"id":"c","version":"3"}],
          "images":[{"image":"index.docker.io/x/run","mirrors":["gcr.io/x/run","ghcr.io/x/run"]}],
          "lifecycle":{"version":"0.21.14","apis":{"platform":{"deprecated":["0.6"],"supported":)" +
      platform_apis + "}}}}";
  return config;
}

TEST(BuilderInfo, ReadsWhoBuildsWithWhatUponWhat) {
  const BuilderInfo info = BuilderInfo::from_image("b", builder()).value();
  EXPECT_EQ(info.uid, 1001u);
  EXPECT_EQ(info.gid, 1000u);
  EXPECT_EQ(info.lifecycle_version, "0.21.14");
  ASSERT_EQ(info.run_images.size(), 1u);
  EXPECT_EQ(info.run_images[0].mirrors.size(), 2u);
  EXPECT_EQ(info.version_of("a/b"), "1");
  EXPECT_EQ(info.version_of("c"), "") << "two versions: the user must say which";
  EXPECT_EQ(info.version_of("d"), "");
}

TEST(BuilderInfo, TakesTheNewestApiThatBothSpeak) {
  EXPECT_EQ(BuilderInfo::from_image("b", builder()).value().platform_api.str(), "0.13");
  EXPECT_EQ(
      BuilderInfo::from_image("b", builder(R"(["0.14","0.15","0.16"])")).value().platform_api.str(),
      "0.15");
  const auto old = BuilderInfo::from_image("b", builder(R"(["0.10","0.11"])"));
  EXPECT_EQ(old.error().code(), Errc::unsupported);
  EXPECT_NE(old.error().message().find("0.6"), std::string::npos) << "names theirs";
  EXPECT_NE(old.error().message().find("0.12 to 0.15"), std::string::npos) << "and ours";
}

TEST(BuilderInfo, ReadsTheStackOfOldBuilders) {
  oci::ImageConfig config = builder();
  config.labels["io.buildpacks.builder.metadata"] =
      R"({"stack":{"runImage":{"image":"x/run","mirrors":null}},
          "lifecycle":{"apis":{"platform":{"supported":["0.12"]}}}})";
  EXPECT_EQ(BuilderInfo::from_image("b", config).value().run_images[0].image, "x/run");
}

TEST(BuilderInfo, RefusesWhatIsNoBuilder) {
  EXPECT_EQ(BuilderInfo::from_image("b", {}).error().code(), Errc::invalid_input);
  oci::ImageConfig config = builder();
  config.labels["io.buildpacks.builder.metadata"] = "{";
  EXPECT_NE(BuilderInfo::from_image("b", config).error().message().find("damaged"),
            std::string::npos);
  config = builder();
  config.env = {"CNB_USER_ID=0", "CNB_GROUP_ID=0"};
  EXPECT_NE(BuilderInfo::from_image("b", config).error().message().find("root"), std::string::npos);
  config.env = {"CNB_USER_ID=cnb", "CNB_GROUP_ID=0"};
  EXPECT_FALSE(BuilderInfo::from_image("b", config));
  config.env = {};
  EXPECT_FALSE(BuilderInfo::from_image("b", config));
}

TEST(BuilderInfo, RefusesImageExtensionsByName) {
  oci::ImageConfig config = builder();
  config.labels["io.buildpacks.buildpack.order-extensions"] = "[]";
  EXPECT_TRUE(BuilderInfo::from_image("b", config));
  config.labels["io.buildpacks.buildpack.order-extensions"] = R"([{"group":[{"id":"x"}]}])";
  const auto refused = BuilderInfo::from_image("b", config);
  EXPECT_EQ(refused.error().code(), Errc::unsupported);
  EXPECT_NE(refused.error().message().find("image extensions"), std::string::npos);
}

TEST(BuilderInfo, PrefersTheRunImageOnTheBuildersRegistry) {
  const BuilderInfo info = BuilderInfo::from_image("b", builder()).value();
  const auto on = [&](const char* name) {
    return run_image_candidates(info, oci::ImageReference::parse(name).value(), "").value();
  };
  EXPECT_EQ(on("x/builder")[0], "index.docker.io/x/run");
  EXPECT_EQ(on("ghcr.io/x/builder")[0], "ghcr.io/x/run");
  EXPECT_EQ(on("oci:/d:1").size(), 3u);
  EXPECT_EQ(run_image_candidates(info, oci::ImageReference::parse("x/b").value(), "my/run").value(),
            std::vector<std::string>{"my/run"});
  EXPECT_FALSE(run_image_candidates({}, oci::ImageReference::parse("x/b").value(), ""));
}

TEST(ApiVersion, IsComparedByNumbers) {
  EXPECT_LT(ApiVersion::parse("0.9").value(), ApiVersion::parse("0.12").value());
  EXPECT_EQ(ApiVersion::parse("1").value().str(), "1.0");
  for (const char* bad : {"", "a", "0.", "1.2.3", "-1.0"}) EXPECT_FALSE(ApiVersion::parse(bad));
}

}  // namespace
}  // namespace locald::cnb
