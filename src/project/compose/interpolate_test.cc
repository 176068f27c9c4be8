#include "project/compose/interpolate.h"

#include <gtest/gtest.h>

#include <map>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

const std::map<std::string, std::string> kVariables = {
    {"A", "a"}, {"B", ""}, {"NAME", "n"}, {"BIG", std::string(300'000, 'b')}};

struct Expanded {
  std::string text, error;
  std::vector<std::string> unset;
};

Expanded expand(std::string_view text) {
  Expanded out;
  Lookup lookup;
  lookup.variable = [](const std::string& name) -> std::optional<std::string> {
    const auto it = kVariables.find(name);
    return it == kVariables.end() ? std::nullopt : std::optional(it->second);
  };
  lookup.unset = &out.unset;
  auto result = substitute(text, lookup);
  if (result)
    out.text = *result;
  else
    out.error = result.error().message();
  return out;
}

std::string text(std::string_view template_text) {
  const Expanded out = expand(template_text);
  EXPECT_EQ(out.error, "");
  return out.text;
}

TEST(ComposeVariables, AllForms) {
  EXPECT_EQ(text("$A-${A}-${A:-x}-${A-x}-${A:+y}-${A+y}-${A:?e}-${A?e}"), "a-a-a-a-y-y-a-a");
  EXPECT_EQ(text("${B:-x}|${B-x}|${B:+y}|${B+y}|${B?e}"),
            "x||"
            "|y|");
  EXPECT_EQ(text("${U:-x}|${U-x}|${U:+y}|${U+y}"), "x|x||");
  EXPECT_EQ(text("$A_x|$a|${a}"), "||");
}

TEST(ComposeVariables, NestToAnyDepth) {
  EXPECT_EQ(text("${U:-${V:-${A}}}"), "a");
  EXPECT_EQ(text("${U:-$A/${B:-c}}"), "a/c");
  EXPECT_EQ(text("${A:+${B:-$NAME}}"), "n");
  EXPECT_EQ(expand("${U:?set ${A} please}").error, "U is not set: set a please");
}

TEST(ComposeVariables, TheFirstOperatorWins) {
  EXPECT_EQ(text("${B:-/a:-b}"), "/a:-b");
  EXPECT_EQ(text("${U-a:+b}"), "a:+b");
  EXPECT_EQ(text("${U:-a?b}"), "a?b");
}

TEST(ComposeVariables, ADollarBeforeAnythingElseStays) {
  EXPECT_EQ(text("$$A $1 $} ^x$ a $ b $$$A $$$$"), "$A $1 $} ^x$ a $ b $a $$");
}

TEST(ComposeVariables, RefusesBadForms) {
  for (const char* bad : {"${", "${}", "${ V}", "${V!}", "${1V}", "x ${A", "${A:}", "${-x}"})
    EXPECT_NE(expand(bad).error.find("invalid variable"), std::string::npos) << bad;
}

TEST(ComposeVariables, BracesOfADefaultBalance) {
  EXPECT_EQ(text("${X:-{\"a\":1}}"), "{\"a\":1}");
  EXPECT_EQ(text("${A:-{\"a\":1}} ${A}"), "a a");
  EXPECT_EQ(text("${X:-{}} }"), "{} }");
  EXPECT_EQ(text("${X:-{}"), "{");
}

TEST(ComposeVariables, WhatIsNotTakenNeitherWarnsNorFails) {
  const Expanded out = expand("${A:-${U}} ${A:-${}} ${U:+${V:?e}} $W ${W}");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.text, "a a   ");
  EXPECT_EQ(out.unset, (std::vector<std::string>{"W", "W"}));
  EXPECT_TRUE(expand("${U:-x}${U-}${U+y}").unset.empty());
}

TEST(ComposeVariables, RequiredOnes) {
  EXPECT_EQ(expand("${B:?}").error, "B is not set");
  EXPECT_EQ(expand("${U?no}").error, "U is not set: no");
  EXPECT_EQ(text("${B?no}"), "");
}

TEST(ComposeVariables, AreBounded) {
  EXPECT_NE(expand("$BIG$BIG$BIG$BIG").error.find("grows beyond"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "${U:-";
  EXPECT_NE(expand(deep + std::string(100, '}')).error, "");
}

}  // namespace
}  // namespace locald::project::compose
