#include "project/yaml/yaml.h"

#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"
#include "project/yaml/yaml_scalar.h"

namespace locald::project {
namespace {

std::vector<YamlDocument> documents(std::string_view text) {
  std::vector<YamlDocument> out;
  const auto problem = parse_yaml(out, text, "f.yaml");
  EXPECT_FALSE(problem.has_value()) << describe({*problem});
  return out;
}

Node root(std::string_view text) {
  auto all = documents(text);
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? Node() : std::move(all[0].root);
}

std::string json(std::string_view text) { return root(text).to_json().value().dump(); }

std::string problem(std::string_view text, const YamlLimits& limits = {}) {
  std::vector<YamlDocument> out;
  const auto found = parse_yaml(out, text, "f.yaml", limits);
  EXPECT_TRUE(out.empty() == found.has_value());
  return found ? describe({*found}) : "";
}

std::string marks(std::string_view text) {
  std::string out;
  const std::vector<YamlDocument> all = documents(text);
  for (const YamlMark& mark : all.at(0).marks)
    out += (out.empty() ? "" : " ") + join(mark.path, ".");
  return out;
}

TEST(Yaml, KnowsThePlaceOfEachValueAndKey) {
  const Node doc = root("services:\n  web:\n    image: nginx\n    ports:\n      - \"80:80\"\n");
  EXPECT_EQ(doc["services"]["web"]["image"].at(), (SourcePos{3, 12}));
  EXPECT_EQ(doc["services"]["web"]["image"].key_at(), (SourcePos{3, 5}));
  EXPECT_EQ(doc["services"]["web"]["ports"].as_array()[0].at(), (SourcePos{5, 9}));
  EXPECT_EQ(doc["services"].key_at(), (SourcePos{1, 1}));
  EXPECT_EQ(doc["services"]["web"]["image"].file(), "f.yaml");
}

TEST(Yaml, ColumnsCountCharacters) { EXPECT_EQ(root("{\"ä\": x}")["ä"].at(), (SourcePos{1, 7})); }

TEST(Yaml, PlainScalarsHaveTheTypesOfTheSpecification) {
  EXPECT_EQ(json("[true, False, TRUE, null, ~, NULL, ]"), "[true,false,true,null,null,null]");
  EXPECT_EQ(json("[yes, no, on, off, y, N]"), R"(["yes","no","on","off","y","N"])");
  EXPECT_EQ(json("[12, -3, +4, 1_000, 0x10, 0b11, 0o17, 017, 0]"), "[12,-3,4,1000,16,3,15,15,0]");
  EXPECT_EQ(json("[1.5, .5, 1e3, 08, 1., 9223372036854775807]"),
            "[1.5,0.5,1000,8,1,9223372036854775807]");
  EXPECT_EQ(json("[22:22, 2222:22, 12:30:45, 2020-01-02, 1.2.3, 0x, 1e, ., -, +, 1-2]"),
            R"(["22:22","2222:22","12:30:45","2020-01-02","1.2.3","0x","1e",".","-","+","1-2"])");
  // Beyond 63 bits: no digit is lost.
  EXPECT_EQ(json("[18446744073709551615, 9223372036854775808, -9223372036854775808]"),
            R"(["18446744073709551615","9223372036854775808",-9223372036854775808])");
  EXPECT_TRUE(root("a: .inf")["a"].is_float());
  EXPECT_TRUE(root("a:")["a"].is_nothing());
  EXPECT_TRUE(root("a:").contains("a"));
}

TEST(Yaml, QuotedScalarsAndBlocksAreText) {
  EXPECT_EQ(json("['12', \"true\", '~', !!str 12, ! 12]"), R"(["12","true","~","12","12"])");
  EXPECT_EQ(json("a: |\n  12\nb: >-\n  x\n  y\n"), R"({"a":"12\n","b":"x y"})");
  EXPECT_EQ(json("[\"a\\tb\\u00e4\", 'it''s']"), "[\"a\\tb\xc3\xa4\",\"it's\"]");
}

TEST(Yaml, TagsOfTheSpecificationHold) {
  EXPECT_EQ(json("[!!int '12', !!float 1, !!bool 'true', !!null '']"), "[12,1,true,null]");
  EXPECT_EQ(problem("a: !!int x"), "f.yaml:1:4: \"x\" does not fit its tag `!!int`");
  EXPECT_NE(problem("a: !!binary aGk=").find("`!!binary` is not supported here"),
            std::string::npos);
  EXPECT_EQ(json("a: !own x"), R"({"a":"x"})");
}

TEST(Yaml, SaysWhichNumbersAreSpelledOtherwise) {
  const auto doc = documents("a: 010\nb: 1_000\nc: 12\nd: 1.0\ne: '010'\nf: 1.5\n").at(0);
  ASSERT_EQ(doc.respelled.size(), 3u);
  EXPECT_EQ(doc.respelled[0].text, "010");
  EXPECT_EQ(doc.respelled[0].at, (SourcePos{1, 4}));
  EXPECT_EQ(doc.respelled[2].text, "1.0");
}

TEST(Yaml, NumbersAsProgramsAreGivenThem) {
  EXPECT_EQ(number_text(1.0), "1");
  EXPECT_EQ(number_text(1e3), "1000");
  EXPECT_EQ(number_text(0.5), "0.5");
  EXPECT_EQ(number_text(1e20), "100000000000000000000");
  EXPECT_EQ(number_text(1e21), "1e+21");
  EXPECT_EQ(number_text(0.00001), "1e-05");
  EXPECT_EQ(number_text(-0.0), "-0");
}

TEST(Yaml, AliasesStandForWhatTheirAnchorsMark) {
  EXPECT_EQ(json("a: &x [1, 2]\nb: *x\n"), R"({"a":[1,2],"b":[1,2]})");
  EXPECT_EQ(json("a: &x 1\nb: &x 2\nc: *x\n"), R"({"a":1,"b":2,"c":2})");
  EXPECT_EQ(root("a: &x hi\nb: *x\n")["b"].at(), (SourcePos{1, 4}));
  EXPECT_EQ(root("a: &x hi\nb: *x\n")["b"].key_at(), (SourcePos{2, 1}));
  EXPECT_EQ(problem("b: *x\n"), "f.yaml:1:4: there is no anchor &x before this *x");
  EXPECT_EQ(problem("b: &x [1, *x]\n"), "f.yaml:1:11: *x stands within its own anchor &x");
}

TEST(Yaml, MergesTablesOfWhichTheFirstAndTheOwnMembersWin) {
  EXPECT_EQ(json("x: &x {a: 1, b: {c: 1}}\ny: {<<: *x, b: {d: 2}}\n"),
            R"({"x":{"a":1,"b":{"c":1}},"y":{"b":{"d":2},"a":1}})");
  EXPECT_EQ(json("{<<: [{a: 1}, {a: 2, b: 2}], c: 3}"), R"({"c":3,"a":1,"b":2})");
  EXPECT_EQ(json("{'<<': 1}"), R"({"<<":1})");
  EXPECT_EQ(problem("{<<: 1}"),
            "f.yaml:1:2: `<<` merges tables, not a number (an alias to a table, or an array of "
            "them)");
  EXPECT_EQ(problem("{<<: {a: 1}, <<: {b: 1}}"),
            "f.yaml:1:14: the key `<<` stands at 1:2 already (merge several at once: `<<: [*a, "
            "*b]`)");
}

TEST(Yaml, RefusesAKeyThatStandsTwice) {
  EXPECT_EQ(problem("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: the key `a` stands at 1:1 already");
}

TEST(Yaml, RefusesKeysThatAreNotStrings) {
  EXPECT_EQ(problem("a:\n  8080: x\n"),
            "f.yaml:2:3: a key must be a string, not a number (put it into quotes)");
  EXPECT_EQ(problem("{? [a] : b}"), "f.yaml:1:4: a key must be a string, not an array");
}

TEST(Yaml, KeepsTagsThatResetAndOverride) {
  EXPECT_EQ(json("a: {ports: !reset [], image: !override x, tty: !reset null}"),
            R"({"a":{"image":"x"}})");
  EXPECT_EQ(marks("a: {ports: !reset [], image: !override x}\nb: !override {c: 1}\n"),
            "a.ports a.image b");
  EXPECT_EQ(documents("a:\n  b: !reset null\n").at(0).marks.at(0).at, (SourcePos{2, 3}));
  // An alias takes along what is marked below its anchor, and `<<` too.
  EXPECT_EQ(marks("x: &x {p: !reset []}\ny: *x\nz: {<<: *x}\n"), "x.p y.p z.p");
  EXPECT_EQ(marks("x: &x !reset []\ny: *x\n"), "x y");
  EXPECT_EQ(json("[1, !reset 2]"), "[1]");
}

TEST(Yaml, ReadsSeveralDocuments) {
  const auto all = documents("a: 1\n---\nb: 2\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].root["b"].as_int(), 2);
  EXPECT_EQ(documents("").size(), 0u);
  EXPECT_EQ(documents("# nothing\n").size(), 0u);
}

TEST(Yaml, ReadsWindowsTexts) {
  EXPECT_EQ(json("\xef\xbb\xbf"
                 "a: 1\r\nb: x\r\n"),
            R"({"a":1,"b":"x"})");
}

TEST(Yaml, SaysWhereATextIsNotYaml) {
  EXPECT_EQ(problem("a: b: c\n"),
            "f.yaml:1:5: not YAML: mapping values are not allowed in this context");
  EXPECT_EQ(problem("a:\n\tb: 1\n").substr(0, 24), "f.yaml:2:1: not YAML: fo");
  EXPECT_EQ(problem("a: 1\nb: \"open\nc: 1\n"),
            "f.yaml:2:4: not YAML: found unexpected end of stream while scanning a quoted scalar");
  EXPECT_EQ(problem("a: [1,\nb: }\n").substr(0, 12), "f.yaml:2:4: ");
  EXPECT_EQ(problem("a: 1\nb: \xff\n").substr(0, 22), "f.yaml:2:4: not YAML: ");
}

TEST(Yaml, AcceptsABracketThatClosesAtItsParentsColumn) {
  EXPECT_EQ(json("a:\n  b: [\n    1\n  ]\nc: [\n  2\n]\n"), R"({"a":{"b":[1]},"c":[2]})");
}

TEST(Yaml, RefusesWhatIsTooLongTooDeepOrTooMuch) {
  EXPECT_EQ(problem(std::string(11, 'x'), {10, 100, 100}), "f.yaml: YAML of more than 10 B");
  EXPECT_NE(problem(std::string(200'000, '[')).find("nest more than 100 deep"), std::string::npos);
  EXPECT_EQ(problem(std::string(99, '[') + std::string(99, ']')), "");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string n = std::to_string(i), p = "*a" + std::to_string(i - 1);
    bomb += "a" + n + ": &a" + n + " [" + p;
    for (int k = 0; k < 8; ++k) bomb += ", " + p;
    bomb += "]\n";
  }
  EXPECT_NE(problem(bomb).find("more than 100000 values (an alias counts"), std::string::npos);
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 200; ++i)
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
             "]\n";
  EXPECT_NE(problem(chain).find("nest more than 100 deep"), std::string::npos);
  std::string wide = "[";
  for (int i = 0; i < 100'001; ++i) wide += "1,";
  EXPECT_NE(problem(wide + "]").find("more than 100000 values"), std::string::npos);
}

}  // namespace
}  // namespace locald::project
