#include "cnb/buildpacks/buildpack_archive.h"

#include <gtest/gtest.h>

#include "oci/archive/test_tar.h"

namespace locald::cnb {
namespace {

using oci::test::StringSource;
using oci::test::TarBuilder;

Result<ArchiveSurvey> survey(TarBuilder& tar) {
  StringSource source(tar.bytes());
  return survey_archive(source);
}
std::string problem(TarBuilder& tar) {
  const auto found = survey(tar);
  return found ? "" : found.error().message();
}

TEST(BuildpackArchive, HasItsBuildpackAtTheTop) {
  for (const char* name : {"buildpack.toml", "./buildpack.toml", "/buildpack.toml"}) {
    const auto found = survey(TarBuilder().dir("bin/").file("bin/build").file(name));
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->top, "");
    EXPECT_FALSE(found->image_layout);
  }
}

TEST(BuildpackArchive, HasItsBuildpackInTheOneFolder) {
  const auto found =
      survey(TarBuilder().dir("./").dir("x-1.0/").file("x-1.0/buildpack.toml").file("x-1.0/a/b"));
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->top, "x-1.0");
}

TEST(BuildpackArchive, IsAPackageWhereItIsAnImageLayout) {
  const auto found = survey(TarBuilder().file("/blobs/sha256/a").file("/oci-layout"));
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_TRUE(found->image_layout);
}

TEST(BuildpackArchive, WithoutOrWithSeveralBuildpacksIsRefused) {
  const std::string none = "there is no buildpack.toml in it";
  EXPECT_EQ(problem(TarBuilder().file("readme")), none);
  EXPECT_EQ(problem(TarBuilder().file("a/buildpack.toml").file("b/buildpack.toml")), none);
  EXPECT_EQ(problem(TarBuilder().file("a/buildpack.toml").file("readme")), none)
      << "one folder beside a file is not one folder";
  EXPECT_EQ(problem(TarBuilder().file("a/b/buildpack.toml")), none);
  EXPECT_EQ(problem(TarBuilder().dir("buildpack.toml/")), none);
}

TEST(BuildpackArchive, RefusesNamesThatLeadOut) {
  for (const char* name : {"../x", "a/../../x", "/../x"})
    EXPECT_NE(problem(TarBuilder().file("buildpack.toml").file(name)), "") << name;
}

TEST(BuildpackArchive, RefusesWhatNoBuildpackHas) {
  EXPECT_EQ(problem(TarBuilder().file("buildpack.toml").char_device("null", 1, 3)),
            "null is a device, which no buildpack has");
  EXPECT_EQ(problem(TarBuilder().file("buildpack.toml").fifo("p")),
            "p is a FIFO, which no buildpack has");
  EXPECT_EQ(problem(TarBuilder().file("buildpack.toml").whiteout("bin/", "build")),
            "bin/.wh.build is a mark that only layers of images have");
}

TEST(BuildpackArchive, ThatIsCutIsCorrupt) {
  std::string bytes = TarBuilder().file("buildpack.toml", std::string(5000, 'x')).bytes();
  bytes.resize(2000);
  StringSource source(bytes);
  EXPECT_EQ(survey_archive(source).error().code(), Errc::corrupt);
}

}  // namespace
}  // namespace locald::cnb
