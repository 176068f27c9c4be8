#include "cli/log_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace locald::cli {
namespace {

bool takes(const std::string& pattern, std::string_view text, bool any_case = false) {
  const auto filter = LogFilter::make(pattern, any_case, 0);
  EXPECT_TRUE(filter) << pattern;
  LogLine line;
  line.text = text;
  return filter->takes(line);
}

TEST(LogFilter, PatternsAreThoseOfGrep) {
  EXPECT_TRUE(takes("", "anything"));
  EXPECT_TRUE(takes("^(GET|POST) /cart", "POST /cart?id=1"));
  EXPECT_FALSE(takes("^(GET|POST) /cart", "a GET /cart"));
  EXPECT_FALSE(takes("error", "ERROR"));
  EXPECT_TRUE(takes("error", "an ERROR", /*any_case=*/true));
  EXPECT_TRUE(takes("^$", ""));
}

TEST(LogFilter, TextBehindANulByteAndBeyondTheLineIsToldApart) {
  using namespace std::string_view_literals;
  EXPECT_TRUE(takes("after", "before\0after"sv));
  EXPECT_FALSE(takes("after", "before after"sv.substr(0, 8)));
  EXPECT_TRUE(takes("x$", std::string(5'000'000, 'a') + "x"));
}

TEST(LogFilter, ABadPatternSaysWhatIsWrong) {
  const auto filter = LogFilter::make("(a", false, 0);
  ASSERT_FALSE(filter);
  EXPECT_TRUE(filter.error().message().starts_with("invalid pattern \"(a\": "))
      << filter.error().message();
}

TEST(LogFilter, WhatIsLaterThanTheEndIsLeftOut) {
  const auto filter = LogFilter::make("", false, 100);
  LogLine line;
  line.time_ns = 100;
  EXPECT_TRUE(filter->takes(line));
  line.time_ns = 101;
  EXPECT_FALSE(filter->takes(line));
}

}  // namespace
}  // namespace locald::cli
