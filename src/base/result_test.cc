#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace locald {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error(Errc::invalid_input, "odd");
  return n / 2;
}
Result<int> quarter(int n) { return TRY(half(TRY(half(n).context("first")))); }

TEST(Result, TryGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(*quarter(8), 2);
  ASSERT_FALSE(quarter(3));
  EXPECT_EQ(quarter(3).error().message(), "first: odd");
  EXPECT_EQ(quarter(6).error().message(), "odd");
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> r(std::make_unique<int>(4));
  std::unique_ptr<int> taken = std::move(r).value();
  EXPECT_EQ(*taken, 4);
}

TEST(Error, NearestHintStays) {
  Result<void> r = Error(Errc::denied, "mount").with_hint("near");
  r = std::move(r).context("start web").hint("far");
  EXPECT_EQ(r.error().text(), "start web: mount\n  hint: near");
}

TEST(ErrorDeathTest, ReadingTheWrongSideEndsTheProcess) {
  EXPECT_DEATH((void)*half(1), "value\\(\\) of an error: odd");
}

}  // namespace
}  // namespace locald
