#include "builder/container_options.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/sys/signals.h"
#include "builder/mount_option.h"

namespace locald::builder {
namespace {

VolumeMount parsed(std::string_view text) {
  return VolumeMount::parse(text, "/project", "/home/u").value();
}
std::string problem(std::string_view text) {
  return VolumeMount::parse(text, "/project", "").error().message();
}

TEST(VolumeMount, ReadsTheFormsOfCompose) {
  using Kind = VolumeMount::Kind;
  EXPECT_EQ(parsed("data:/var/lib"), (VolumeMount{Kind::named, "data", "/var/lib", false, 0}));
  EXPECT_EQ(parsed("data:/var/lib:ro"), (VolumeMount{Kind::named, "data", "/var/lib", true, 0}));
  EXPECT_EQ(parsed("./seed:/seed:ro"),
            (VolumeMount{Kind::bind, "/project/./seed", "/seed", true, 0}));
  EXPECT_EQ(parsed("../x:/x"), (VolumeMount{Kind::bind, "/project/../x", "/x", false, 0}));
  EXPECT_EQ(parsed(".:/x"), (VolumeMount{Kind::bind, "/project/.", "/x", false, 0}));
  EXPECT_EQ(parsed("/srv:/x:rw"), (VolumeMount{Kind::bind, "/srv", "/x", false, 0}));
  EXPECT_EQ(parsed("~/c:/x"), (VolumeMount{Kind::bind, "/home/u/c", "/x", false, 0}));
  EXPECT_EQ(parsed("tmpfs:/t:size=64m,ro"), (VolumeMount{Kind::tmpfs, "", "/t", true, 64u << 20}));
  EXPECT_EQ(parsed("/anonymous"), (VolumeMount{Kind::named, "", "/anonymous", false, 0}));
  EXPECT_EQ(parsed("data://var//./lib/").target, "/var/lib");
}

TEST(VolumeMount, OptionsOfComposeThatHaveNoEffectAreTakenAndSaid) {
  for (const char* option : {"z", "Z", "U", "cached", "delegated", "consistent", "nocopy"}) {
    const std::string text = std::string("./d:/d:ro,") + option;
    EXPECT_TRUE(parsed(text).read_only);
    const auto notices = mount_option_notices(text);
    ASSERT_EQ(notices.size(), 1u);
    EXPECT_NE(notices[0].find(std::string(option) + " has no effect"), std::string::npos);
  }
  EXPECT_TRUE(mount_option_notices("v:/d:ro").empty());
}

TEST(VolumeMount, RefusesWhatItCannotMeanAndSaysWhy) {
  EXPECT_NE(problem("data:var/lib").find("absolute"), std::string::npos);
  EXPECT_NE(problem("data:/a/../b").find("\"..\""), std::string::npos);
  EXPECT_NE(problem("Data:/x").find("invalid volume name"), std::string::npos);
  EXPECT_NE(problem("seed/sub:/x").find("did you mean \"./seed/sub\""), std::string::npos);
  EXPECT_NE(problem("data:/x:zz").find("unknown option \"zz\""), std::string::npos);
  EXPECT_NE(problem("data:/x:size=1m").find("unknown option"), std::string::npos);
  EXPECT_NE(problem("a:/b:ro:c").find("more than"), std::string::npos);
  EXPECT_NE(problem("~/c:/x").find("HOME"), std::string::npos);
  EXPECT_NE(problem("").find("absolute"), std::string::npos);
}

TEST(ParseBytes, CountsInPowersOf1024) {
  EXPECT_EQ(parse_bytes("512m").value(), 512u << 20);
  EXPECT_EQ(parse_bytes("2G").value(), 2ull << 30);
  EXPECT_EQ(parse_bytes("10kb").value(), 10240u);
  EXPECT_EQ(parse_bytes("77").value(), 77u);
  EXPECT_EQ(parse_bytes("77b").value(), 77u);
  for (const char* bad : {"", "m", "1.5g", "-1", "9999999999g", "12x", "b"})
    EXPECT_FALSE(parse_bytes(bad)) << bad;
}

TEST(ParseSignal, KnowsNamesAndNumbers) {
  EXPECT_EQ(parse_signal("SIGTERM").value(), SIGTERM);
  EXPECT_EQ(parse_signal("quit").value(), SIGQUIT);
  EXPECT_EQ(parse_signal("9").value(), SIGKILL);
  EXPECT_EQ(parse_signal("SIGRTMIN+3").value(), 37);
  EXPECT_EQ(parse_signal("RTMAX-1").value(), 63);
  for (const char* bad : {"", "0", "65", "SIGNOPE", "SIGRTMIN+99", "SIGRTMIN-1", "SIG"})
    EXPECT_FALSE(parse_signal(bad)) << bad;
}

}  // namespace
}  // namespace locald::builder
