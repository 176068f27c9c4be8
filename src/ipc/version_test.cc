#include "ipc/version.h"

#include <gtest/gtest.h>

namespace locald::ipc {
namespace {

TEST(Version, OrdersByNumbersAndThenByTheBuildsTime) {
  EXPECT_LT(compare({"0.9.0", "2.a"}, {"0.10.0", "1.b"}), 0);
  EXPECT_GT(compare({"1.0", "1.a"}, {"0.99.99", "2.b"}), 0);
  EXPECT_LT(compare({"1.0.0", "20260101000000.a"}, {"1.0.0", "20260101000001.a"}), 0);
}

TEST(Version, TwoBuildsOfOneMomentDoNotReplaceEachOther) {
  EXPECT_EQ(compare({"1.0.0", "20260101000000.a"}, {"1.0.0", "20260101000000.b"}), 0);
}

TEST(Version, TheBuildHasATimeAndAName) {
  EXPECT_EQ(kBuild.find('.'), 14u) << kBuild;
  EXPECT_GT(kBuild.size(), 15u);
}

}  // namespace
}  // namespace locald::ipc
