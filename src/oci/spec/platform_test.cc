#include "oci/spec/platform.h"

#include <gtest/gtest.h>

#include "oci/spec/descriptor.h"

namespace locald::oci {
namespace {

Descriptor entry(const char* name, std::optional<Platform> platform) {
  return {
      "application/vnd.oci.image.manifest.v1+json", Digest::of(name), 1, {}, std::move(platform)};
}

TEST(Platform, TheHostRunsItsOwn) {
  const Platform host = Platform::host();
  EXPECT_EQ(host.os, "linux");
  EXPECT_GT(platform_score(host, host), 0) << host.str();
}

TEST(Platform, AnArmHostRunsLowerVariantsOnly) {
  const Platform v7{"linux", "arm", "v7"};
  EXPECT_GT(platform_score({"linux", "arm", "v7"}, v7), platform_score({"linux", "arm", "v6"}, v7));
  EXPECT_GT(platform_score({"linux", "arm", "v6"}, v7), 0);
  EXPECT_GT(platform_score({"linux", "arm", ""}, v7), 0);
  EXPECT_EQ(platform_score({"linux", "arm", "v8"}, v7), 0);
  EXPECT_EQ(platform_score({"linux", "arm64", ""}, v7), 0);
}

TEST(Platform, WordsForTheSameThingAreTheSame) {
  EXPECT_GT(platform_score({"linux", "arm64", "v8"}, {"linux", "arm64", ""}), 0);
  EXPECT_GT(platform_score({"linux", "aarch64", ""}, {"linux", "arm64", ""}), 0);
  EXPECT_GT(platform_score({"linux", "x86_64", ""}, {"linux", "amd64", ""}), 0);
  EXPECT_EQ(platform_score({"windows", "amd64", ""}, {"linux", "amd64", ""}), 0);
}

TEST(Platform, AnAmd64LevelNeedsTheHostToHaveIt) {
  EXPECT_EQ(platform_score({"linux", "amd64", "v3"}, {"linux", "amd64", "v2"}), 0);
  EXPECT_GT(platform_score({"linux", "amd64", "v2"}, {"linux", "amd64", "v3"}),
            platform_score({"linux", "amd64", ""}, {"linux", "amd64", "v3"}));
}

TEST(Platform, TheBestEntryIsChosenAndTheFirstAmongEquals) {
  const Platform host{"linux", "amd64", "v3"};
  auto chosen = choose_platform(
      {entry("arm", Platform{"linux", "arm64", "v8"}), entry("one", Platform{"linux", "amd64", ""}),
       entry("two", Platform{"linux", "amd64", ""}),
       entry("sbom", Platform{"unknown", "unknown", ""})},
      host);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->digest, Digest::of("one"));
}

TEST(Platform, TheErrorNamesWhatIsThere) {
  auto chosen = choose_platform(
      {entry("a", Platform{"linux", "arm64", "v8"}), entry("b", Platform{"linux", "arm64", "v8"}),
       entry("c", Platform{"windows", "amd64", ""}),
       entry("d", Platform{"unknown", "unknown", ""})},
      {"linux", "amd64", ""});
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code(), Errc::unsupported);
  EXPECT_EQ(chosen.error().message(),
            "there is no image for linux/amd64, this host; there is linux/arm64/v8, windows/amd64");
}

TEST(Platform, ASingleEntryWithoutAWordIsTaken) {
  EXPECT_TRUE(choose_platform({entry("a", std::nullopt)}, {"linux", "amd64", ""}));
  EXPECT_FALSE(choose_platform({entry("a", std::nullopt), entry("b", std::nullopt)},
                               {"linux", "amd64", ""}));
  EXPECT_FALSE(choose_platform({}, {"linux", "amd64", ""}));
}

}  // namespace
}  // namespace locald::oci
