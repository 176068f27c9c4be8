#include "builder/volume_text.h"

#include <gtest/gtest.h>

#include "builder/container_options.h"

namespace locald::builder {
namespace {

std::vector<std::string> notices;

Result<VolumeMount> mount(const std::string& text, const std::string& home = "/home/u") {
  notices.clear();
  return VolumeMount::of(TRY(parse_volume(
      text, "/project", [&] { return home; }, notices)));
}
VolumeMount parsed(const std::string& text) { return mount(text).value(); }
std::string problem(const std::string& text) {
  const auto made = mount(text, "");
  return made ? "none" : made.error().text();
}

TEST(VolumeText, HasTheFormsOfCompose) {
  using Kind = VolumeMount::Kind;
  EXPECT_EQ(parsed("data:/var/lib"), (VolumeMount{Kind::named, "data", "/var/lib", false, 0}));
  EXPECT_EQ(parsed("data:/var/lib:ro"), (VolumeMount{Kind::named, "data", "/var/lib", true, 0}));
  EXPECT_EQ(parsed("./seed:/seed:ro"),
            (VolumeMount{Kind::bind, "/project/seed", "/seed", true, 0}));
  EXPECT_EQ(parsed("../x:/x"), (VolumeMount{Kind::bind, "/x", "/x", false, 0}));
  EXPECT_EQ(parsed(".:/x"), (VolumeMount{Kind::bind, "/project", "/x", false, 0}));
  EXPECT_EQ(parsed(".data:/x"), (VolumeMount{Kind::bind, "/project/.data", "/x", false, 0}));
  EXPECT_EQ(parsed("/srv:/x:rw"), (VolumeMount{Kind::bind, "/srv", "/x", false, 0}));
  EXPECT_EQ(parsed("~/c:/x"), (VolumeMount{Kind::bind, "/home/u/c", "/x", false, 0}));
  EXPECT_EQ(parsed("/anonymous"), (VolumeMount{Kind::named, "", "/anonymous", false, 0}));
  EXPECT_EQ(parsed("data:/a//b/"), (VolumeMount{Kind::named, "data", "/a/b", false, 0}));
}

TEST(VolumeText, ATmpfsHasAFormOfItsOwn) {
  const auto tmpfs = VolumeMount::of(parse_tmpfs("/t:size=64m").value());
  EXPECT_EQ(tmpfs.value(), (VolumeMount{VolumeMount::Kind::tmpfs, "", "/t", false, 64u << 20}));
  EXPECT_NE(parse_tmpfs("t").error().text().find("absolute"), std::string::npos);
  EXPECT_EQ(parse_tmpfs("/t:mode=1777").error().code(), Errc::unsupported);
  // What was a tmpfs in one place and a volume of that name in the other.
  EXPECT_NE(problem("tmpfs:/t").find("is not the name of a volume"), std::string::npos);
  EXPECT_NE(problem("tmpfs:/t:size=1m").find("--tmpfs"), std::string::npos);
}

TEST(VolumeText, OptionsOfComposeThatHaveNoEffectAreTakenAndSaid) {
  for (const char* option : {"z", "Z", "U", "cached", "delegated", "consistent", "nocopy"}) {
    EXPECT_TRUE(parsed(std::string("./d:/d:ro,") + option).read_only);
    ASSERT_EQ(notices.size(), 1u);
    EXPECT_NE(notices[0].find(std::string(option) + " has no effect"), std::string::npos);
  }
  EXPECT_TRUE(parsed("v:/d:ro").read_only);
  EXPECT_TRUE(notices.empty());
}

TEST(VolumeText, RefusesWhatItCannotMeanAndSaysWhy) {
  EXPECT_NE(problem("data:var/lib").find("absolute"), std::string::npos);
  EXPECT_NE(problem("data:/a/../b").find(".."), std::string::npos);
  EXPECT_NE(problem("Data:/x").find("nor the name of a volume"), std::string::npos);
  EXPECT_NE(problem("seed/sub:/x").find("(./seed/sub)"), std::string::npos);
  EXPECT_NE(problem("data:/x:zz").find("unknown option \"zz\""), std::string::npos);
  EXPECT_NE(problem("data:/x:size=1m").find("unknown option"), std::string::npos);
  EXPECT_NE(problem("a:/b:ro:c").find("too many colons"), std::string::npos);
  EXPECT_NE(problem("~/c:/x").find("HOME"), std::string::npos);
  EXPECT_NE(problem("~other/c:/x").find("your own ~"), std::string::npos);
  EXPECT_NE(problem("").find("absolute"), std::string::npos);
}

}  // namespace
}  // namespace locald::builder
