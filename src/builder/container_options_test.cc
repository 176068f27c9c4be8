#include "builder/container_options.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/sys/signals.h"
#include "base/units.h"

namespace locald::builder {
namespace {

TEST(ParseBytes, CountsInPowersOf1024) {
  EXPECT_EQ(parse_size("512m").value(), 512u << 20);
  EXPECT_EQ(parse_size("2G").value(), 2ull << 30);
  EXPECT_EQ(parse_size("10kb").value(), 10240u);
  EXPECT_EQ(parse_size("77").value(), 77u);
  EXPECT_EQ(parse_size("77b").value(), 77u);
  for (const char* bad : {"", "m", "1.5g", "-1", "9999999999g", "12x", "b"})
    EXPECT_FALSE(parse_size(bad)) << bad;
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
