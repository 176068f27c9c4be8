// Variables in texts, and env files.
#include "project/resolve/interpolation.h"

#include <gtest/gtest.h>

#include <map>

#include "project/resolve/dotenv.h"

namespace locald::project {
namespace {

std::string expand(std::string_view text, std::map<std::string, std::string> vars = {}) {
  Lookup lookup;
  lookup.variable = [&](const std::string& n) {
    return vars.contains(n) ? std::optional(vars[n]) : std::nullopt;
  };
  lookup.service = [](const std::string& s, const std::string& f) -> Result<std::string> {
    return s + "." + f + "!";
  };
  auto r = interpolate(text, lookup);
  return r ? *r : "error: " + r.error().message();
}

TEST(Interpolation, KnowsTheFormsOfCompose) {
  const std::map<std::string, std::string> v{{"A", "1"}, {"E", ""}};
  EXPECT_EQ(expand("x${A}y", v), "x1y");
  EXPECT_EQ(expand("${E:-d}${E-d}${U:-d}${U-d}", v), "ddd");
  EXPECT_EQ(expand("${A:+y}${E:+y}${E+y}${U+y}", v), "yy");
  EXPECT_EQ(expand("${U:-${A}${U:-z}}", v), "1z");
  EXPECT_EQ(expand("$$A $${A} $A $ $1", v), "$A ${A} $A $ $1");
  EXPECT_EQ(expand("${services.db.port}"), "db.port!");
  EXPECT_EQ(expand("${U}"), "");
}

TEST(Interpolation, SaysWhatIsWrong) {
  EXPECT_EQ(expand("${U:?give me one}"), "error: U is not set: give me one");
  EXPECT_NE(expand("${A").find("has no }"), std::string::npos);
  EXPECT_NE(expand("${}").find("not the name"), std::string::npos);
  EXPECT_NE(expand("${A!}").find(":-default"), std::string::npos);
  EXPECT_NE(expand("${services.db.prot}").find("host, port and url"), std::string::npos);
}

TEST(Dotenv, FollowsTheRulesOfCompose) {
  Problems problems;
  const auto entries = parse_dotenv(
      "\xef\xbb\xbf# comment\r\n"
      "PLAIN=a b # comment\n"
      "HASH=a#b\n"
      "export EXPORTED = x\n"
      "EMPTY=\n"
      "LITERAL='a $PLAIN # \\' c'\n"
      "DOUBLE=\"${PLAIN}\\n\\\"q\\\" \\$X\"\n"
      "MULTI=\"one\ntwo\"\n"
      "YAML: y\n"
      "REF=$PLAIN-${HOST:-none}\n"
      "FROM_ENV\n"
      "NOT_SET\n",
      "/f/.env",
      [](const std::string& n) {
        return n == "FROM_ENV" ? std::optional<std::string>("env") : std::nullopt;
      },
      problems);
  EXPECT_EQ(describe(problems), "");
  std::map<std::string, std::string> got;
  for (const auto& e : entries) got[e.name] = e.value.value_or("<unset>");
  EXPECT_EQ(got, (std::map<std::string, std::string>{{"PLAIN", "a b"},
                                                     {"HASH", "a#b"},
                                                     {"EXPORTED", "x"},
                                                     {"EMPTY", ""},
                                                     {"LITERAL", "a $PLAIN # ' c"},
                                                     {"DOUBLE", "a b\n\"q\" $X"},
                                                     {"MULTI", "one\ntwo"},
                                                     {"YAML", "y"},
                                                     {"REF", "a b-none"},
                                                     {"FROM_ENV", "env"},
                                                     {"NOT_SET", "<unset>"}}));
}

TEST(Dotenv, NamesTheLineOfWhatItCannotRead) {
  Problems problems;
  parse_dotenv("A=1\n1B=2\nC=\"open\n", "/f/.env", {}, problems);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].at.line, 2u);
  EXPECT_EQ(problems[1].at.line, 3u);
}

TEST(Dotenv, CrLfIsOneEndOfALineWhereverItStands) {
  const std::string lines =
      "A=1\nKEY=\"-----BEGIN\nMIIE\n-----END\"\nS='one\ntwo'\nU=plain # "
      "c\nE=\nESC=\"a\\r\\n\"\nB\n";
  std::string dos;
  for (const char c : lines) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const auto read = [](const std::string& text) {
    Problems problems;
    std::map<std::string, std::string> out;
    for (const auto& e : parse_dotenv(text, "/f", {}, problems))
      out[e.name] = std::to_string(e.line) + " " + e.value.value_or("<unset>");
    EXPECT_EQ(describe(problems), "");
    return out;
  };
  EXPECT_EQ(read(dos), read(lines));
  EXPECT_EQ(read(dos).at("KEY"), "2 -----BEGIN\nMIIE\n-----END");
  EXPECT_EQ(read(dos).at("ESC"), "9 a\r\n");
}

TEST(Dotenv, WhatGrowsOutOfItselfIsBounded) {
  std::string bomb = "A0=xxxxxxxxxxxxxxxx\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "A" + std::to_string(i) + "=";
    for (int j = 0; j < 10; ++j) bomb += "${A" + std::to_string(i - 1) + "}";
    bomb += "\n";
  }
  Problems problems;
  const auto entries = parse_dotenv(bomb, "/f", {}, problems);
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].at.line, 5u) << describe(problems);  // 160 KB
  EXPECT_NE(problems[0].message.find("128 KiB"), std::string::npos);
  std::size_t bytes = 0;
  for (const auto& e : entries) bytes += e.value->size();
  EXPECT_LE(bytes, kMaxServiceText);
  // Many values below the limit of one.
  std::string many = "A=" + std::string(100000, 'x') + "\n";
  for (int i = 0; i < 1000; ++i) many += "B" + std::to_string(i) + "=$A\n";
  problems.clear();
  std::size_t room = kMaxServiceText;
  parse_dotenv(many, "/f", {}, problems, &room);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].at.line, 21u);
  EXPECT_NE(problems[0].message.find("2 MiB"), std::string::npos);
  EXPECT_EQ(room, 0u);
  // A value that nothing expands, and a file of nothing but problems.
  problems.clear();
  parse_dotenv("A='" + std::string(200000, 'x') + "'\nB=1\n", "/f", {}, problems);
  ASSERT_EQ(problems.size(), 1u);
  std::string wrong;
  for (int i = 0; i < 100000; ++i) wrong += "!\n";
  problems.clear();
  parse_dotenv(wrong, "/f", {}, problems);
  EXPECT_EQ(problems.size(), kMaxProblems);
}

TEST(Interpolation, AValueIsBoundedBeforeItHasGrown) {
  const std::map<std::string, std::string> v{{"BIG", std::string(100000, 'y')}};
  std::string many;
  for (int i = 0; i < 100000; ++i) many += "${BIG}";
  for (const std::string& text :
       {many, std::string("${BIG}${BIG}"), std::string("${U:-${BIG}${BIG}}"),
        std::string("${BIG:+${BIG}${BIG}}"), std::string(200000, 'x'), std::string(400000, '$')})
    EXPECT_EQ(expand(text, v), "error: the value grows beyond 128 KiB") << text.substr(0, 40);
  EXPECT_EQ(expand("${BIG}", v).size(), 100000u);
  EXPECT_EQ(expand(std::string(kMaxValue, 'x')).size(), kMaxValue);
}

}  // namespace
}  // namespace locald::project
