#include "base/strings.h"

#include <gtest/gtest.h>

namespace locald {
namespace {

TEST(Strings, DidYouMeanFindsTyposOnly) {
  const std::vector<std::string> keys{"command", "container_port", "depends_on", "health", "port"};
  EXPECT_EQ(did_you_mean("comand", keys), "command");
  EXPECT_EQ(did_you_mean("helath", keys), "health");
  EXPECT_EQ(did_you_mean("prot", keys), "port");
  EXPECT_EQ(did_you_mean("zzz", keys), std::nullopt);
}

TEST(Strings, ParseU64RefusesAllButDigits) {
  EXPECT_EQ(parse_u64("18446744073709551615"), 18446744073709551615ull);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"})
    EXPECT_EQ(parse_u64(bad), std::nullopt) << bad;
}

TEST(Strings, ShellQuoteIsSafeToPaste) {
  EXPECT_EQ(shell_quote("a/b-c=1"), "a/b-c=1");
  EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_quote(""), "''");
}

TEST(Strings, MakesValidUtf8OfAnyBytes) {
  EXPECT_EQ(to_utf8("größe €😀"), "größe €😀");
  EXPECT_EQ(to_utf8("a\xff"
                    "b\xc3"),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  EXPECT_EQ(to_utf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
}

TEST(Strings, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a::b", ':'), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ':'), (std::vector<std::string>{""}));
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
}

TEST(Strings, HumanBytes) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1500), "1.5 kB");
  EXPECT_EQ(human_bytes(386000000), "386 MB");
}

TEST(Strings, ALongTextIsShortenedInItsMiddle) {
  EXPECT_EQ(shortened("short", 5), "short");
  EXPECT_EQ(shortened(std::string(30, 'a') + "end", 19), std::string(12, 'a') + "…" + "aend");
  const std::string umlauts = shortened("äääääääääääääääääääääääääääääääääääääää", 22);
  EXPECT_LE(umlauts.size(), 22U);
  EXPECT_EQ(to_utf8(umlauts), umlauts) << "whole characters";
}

}  // namespace
}  // namespace locald
