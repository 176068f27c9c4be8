#include "base/units.h"

#include <gtest/gtest.h>

namespace locald {
namespace {

using std::chrono::microseconds;
using std::chrono::system_clock;

TEST(Units, DurationsHavePartsInFallingOrder) {
  EXPECT_EQ(parse_duration("1m30s").value().count(), 90'000);
  EXPECT_EQ(parse_duration("200ms").value().count(), 200);
  EXPECT_EQ(parse_duration("7d").value().count(), 604'800'000);
  EXPECT_EQ(parse_duration("0s").value().count(), 0);
  for (const char* wrong :
       {"", "1", "s", "1s1m", "1s1s", "1.5s", "-1s", "1 s", "1m30", "99999999999999999999s"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(Units, SizesArePowersOf1024) {
  EXPECT_EQ(parse_size("1g").value(), 1u << 30);
  EXPECT_EQ(parse_size("64KB").value(), 64u << 10);
  EXPECT_EQ(parse_size("10").value(), 10u);
  EXPECT_EQ(parse_size("77b").value(), 77u);
  for (const char* wrong : {"", "m", "1x", "-1", "1.5g", "99999999999t"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
}

TEST(Units, TimesAreRfc3339InUtc) {
  const system_clock::time_point when{
      std::chrono::duration_cast<system_clock::duration>(microseconds(1'700'000'000'012'345))};
  EXPECT_EQ(time_text(when), "2023-11-14T22:13:20Z");
  EXPECT_EQ(time_text(when, 3), "2023-11-14T22:13:20.012Z");
  EXPECT_EQ(time_text(when, 6), "2023-11-14T22:13:20.012345Z");
  EXPECT_EQ(now_text().size(), 20u);
}

}  // namespace
}  // namespace locald
