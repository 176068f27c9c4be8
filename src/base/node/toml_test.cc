#include "base/node/toml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "base/source_dir.h"

namespace locald {
namespace {

const std::string kGolden = std::string(LOCALD_SOURCE_DIR) + "/tests/golden/toml/";

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// The files of a folder whose names end in `suffix`, without it.
std::set<std::string> names(const std::string& folder, const std::string& suffix) {
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden + folder)) {
    const std::string path = entry.path();
    if (path.ends_with(suffix)) out.insert(path.substr(0, path.size() - suffix.size()));
  }
  return out;
}

Node parsed(std::string_view text) {
  auto doc = parse_toml(text, "f.toml");
  EXPECT_TRUE(doc) << text << '\n' << (doc ? "" : doc.error().message());
  return doc ? *std::move(doc) : Node();
}

std::string toml_problem(std::string_view text) {
  const auto doc = parse_toml(text, "f.toml");
  return doc ? "no problem" : doc.error().message();
}

TEST(Toml, WritesMetadataAsGoDoes) {
  const auto cases = names("metadata", ".json");
  ASSERT_GE(cases.size(), 15u);
  int refused = 0;
  for (const std::string& name : cases) {
    const auto json = Json::parse(read(name + ".json"), {.reject_duplicates = false});
    ASSERT_TRUE(json) << name << json.error().message();
    const auto text =
        write_toml(Node::table({{"metadata", Node::from_json(*json)}}).as_json_numbers().sorted());
    if (std::filesystem::exists(name + ".error")) {
      EXPECT_FALSE(text) << name;
      ++refused;
      continue;
    }
    ASSERT_TRUE(text) << name << text.error().message();
    EXPECT_EQ(*text, read(name + ".toml")) << name;
  }
  EXPECT_EQ(refused, 2);
}

TEST(Toml, ReadsAndWritesDocumentsAsGoDoes) {
  const auto cases = names("decoded", ".in.toml");
  ASSERT_GE(cases.size(), 2u);
  for (const std::string& name : cases) {
    const Node doc = parsed(read(name + ".in.toml"));
    EXPECT_EQ(write_toml(doc.sorted()).value(), read(name + ".toml")) << name;
    EXPECT_EQ(parsed(read(name + ".toml")), doc) << name;
    // Go writes 3.0 as 3 there: numbers are compared as numbers.
    const auto json = Json::parse(read(name + ".json"));
    ASSERT_TRUE(json);
    EXPECT_EQ(write_toml(Node::from_json(doc.to_json().value()).as_json_numbers().sorted()).value(),
              write_toml(Node::from_json(*json).as_json_numbers()).value())
        << name;
  }
}

TEST(Toml, WritesStructsInTheirOwnOrder) {
  const auto element = [](const char* id, const char* version) {
    return Node::table({{"id", id}, {"version", version}});
  };
  const Node order = Node::table(
      {{"order",
        Node::array(
            {Node::table(
                 {{"group", Node::array({element("example/node", "1.2.3"),
                                         element("example/npm", "0.9").set("optional", true)})}}),
             Node::table(
                 {{"group", Node::array({element("example/static", "2")
                                             .set("api", "0.10")
                                             .set("homepage", "https://example.com")})}})})}});
  EXPECT_EQ(write_toml(order).value(), read(kGolden + "structs/order.toml"));

  const Node analyzed = Node::table(
      {{"image", Node()},
       {"run-image",
        Node::table({{"reference", "example.com/run@sha256:ab"}, {"image", "example.com/run"}})},
       {"target", Node::table({{"os", "linux"},
                               {"arch", "amd64"},
                               {"labels", Node::table({{"a", "1"}, {"b", "2"}})}})},
       {"layers", Node::array({Node::table({{"sha", "sha256:cd"},
                                            {"data", Node::table({{"a", Node::array()}, {"z", 1}})},
                                            {"size", 7}})})},
       {"version", "x"}});
  EXPECT_EQ(write_toml(analyzed).value(), read(kGolden + "structs/analyzed.toml"));

  const Node store = Node::table(
      {{"metadata", Node::table({{"age", 3.0}, {"keys", std::vector<std::string>{"b", "a"}}})}});
  EXPECT_EQ(write_toml(store).value(), read(kGolden + "structs/store.toml"));
  EXPECT_EQ(write_toml(Node::table({{"metadata", Node()}})).value(),
            read(kGolden + "structs/empty-store.toml"));
}

TEST(Toml, LeavesNoCommaBehindANothing) {
  const Node inner = Node::table({{"a", 1}, {"z", Node()}});
  EXPECT_EQ(write_toml(Node::table({{"k", Node::array({1, inner})}})).value(),
            "k = [1, {a = 1}]\n");
}

TEST(Toml, WritesNumbersThatNoJsonHolds) {
  const double inf = std::numeric_limits<double>::infinity();
  const Node doc = Node::table({{"a", inf}, {"b", -inf}, {"c", std::nan("")}, {"d", -0.0}});
  EXPECT_EQ(write_toml(doc).value(), "a = inf\nb = -inf\nc = nan\nd = -0.0\n");
  EXPECT_EQ(parsed(write_toml(doc).value()), doc);
  EXPECT_EQ(parsed("x = 1\ny = [1, inf]").to_json().error().message(),
            "f.toml:2:9: JSON has no word for inf and nan");
}

TEST(Toml, WritesTablesOnly) {
  EXPECT_EQ(write_toml(Node("x")).error().message(), "a TOML document is a table, not a string");
  EXPECT_FALSE(write_toml(Node::table({{"a", Node::array({Node()})}})));
}

TEST(Toml, KeepsTheOrderOfTheFile) {
  const Node doc = parsed("z = 1\n[m.y]\nq=1\nb.c=2\na=3\n[a]\n[[l]]\n[m]\nx=1\n[[l]]\nk=1\n");
  std::string order;
  for (const auto& [name, value] : doc.as_table()) order += name;
  EXPECT_EQ(order, "zmal");
  order.clear();
  for (const auto& [name, value] : doc["m"]["y"].as_table()) order += name;
  EXPECT_EQ(order, "qba");
  EXPECT_EQ(doc["l"].as_array().size(), 2u);
}

TEST(Toml, KnowsWhereItStands) {
  const Node doc = parsed("\n[a]\n  b = [1,\n     'x']\n[[t]]\n[[t]]\nk.l = true\n");
  EXPECT_EQ(doc.at(), SourcePos{});
  EXPECT_EQ(doc["a"].at(), (SourcePos{2, 1}));
  EXPECT_EQ(doc["a"]["b"].at(), (SourcePos{3, 7}));
  EXPECT_EQ(doc["a"]["b"].as_array()[1].at(), (SourcePos{4, 6}));
  EXPECT_EQ(doc["t"].as_array()[1].at(), (SourcePos{6, 1}));
  EXPECT_EQ(doc["t"].as_array()[1]["k"].at(), (SourcePos{7, 1}));
  EXPECT_EQ(doc["t"].as_array()[1]["k"]["l"].at(), (SourcePos{7, 7}));
  EXPECT_EQ(doc["a"].file(), "f.toml");
}

TEST(Toml, ChainsReadsWithFallbacks) {
  const Node doc = parsed("s='x'\ni=7\nf=1.5\nb=true\nd=2000-01-01\na=['p',1,'q']\n[t]\nk=1\n");
  EXPECT_EQ(doc["s"].as_string(), "x");
  EXPECT_EQ(doc["i"].as_int(), 7);
  EXPECT_EQ(doc["i"].as_double(), 7.0);
  EXPECT_EQ(doc["f"].as_double(), 1.5);
  EXPECT_TRUE(doc["b"].as_bool());
  EXPECT_EQ(doc["d"].as_date_time(), "2000-01-01");
  EXPECT_EQ(doc["a"].as_strings(), (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(doc["t"]["k"].as_int(), 1);
  EXPECT_EQ(doc["t"]["no"]["where"].as_int(-1), -1);
  EXPECT_TRUE(doc["no"].is_nothing());
  EXPECT_FALSE(doc.contains("no"));
}

TEST(Toml, StrictReadsNamePlaceKeyAndBothKinds) {
  const Node doc = parsed("id = 7\n\n[t]\nlist = ['a', 2]\nwhen = 07:32:00\n");
  EXPECT_EQ(doc.get_string("id").error().message(),
            "f.toml:1:6: `id` must be a string, not a number");
  EXPECT_EQ(doc.get_string("name").error().message(),
            "f.toml: `name` is missing (it must be a string)");
  EXPECT_EQ(doc["t"].get_int("size").error().message(),
            "f.toml:3:1: `size` is missing (it must be a whole number)");
  EXPECT_EQ(doc["t"].get_strings("list").error().message(),
            "f.toml:4:14: `list` must be an array of strings, but holds a number");
  EXPECT_EQ(doc["t"].get_bool("when").error().message(),
            "f.toml:5:8: `when` must be true or false, not a date-time");
  EXPECT_EQ(doc.get_tables("t").error().message(),
            "f.toml:3:1: `t` must be an array of tables, not a table");
  EXPECT_EQ(*doc.get_string_or("name", "x"), "x");
  EXPECT_FALSE(doc.get_string_or("id", "x"));
  EXPECT_EQ(*doc.get_int("id"), 7);
  EXPECT_TRUE(doc.get_strings("none")->empty());
  const Node made = Node::table({{"id", 7}});
  EXPECT_EQ(made.get_string("id").error().message(), "`id` must be a string, not a number");
}

TEST(Toml, GivesTheTablesOfAnArray) {
  const Node doc = parsed("[[g]]\nid='a'\n[[g]]\nid='b'\n");
  const auto tables = doc.get_tables("g").value();
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[1]->get_string("id").value(), "b");
  EXPECT_EQ(parsed("g=[{},1]").get_tables("g").error().message(),
            "f.toml:1:7: `g` must be an array of tables, but holds a number");
}

TEST(Toml, SaysWhereATextIsNoToml) {
  EXPECT_TRUE(toml_problem("a = 1\nb = = 2\n").starts_with("f.toml:2:5: not TOML: "))
      << toml_problem("a = 1\nb = = 2\n");
  EXPECT_TRUE(toml_problem("a = 1\na = 2\n").starts_with("f.toml:2:"))
      << toml_problem("a = 1\na = 2\n");
  EXPECT_NE(toml_problem("a = '\xff'"), "no problem");
  EXPECT_NE(toml_problem("[a"), "no problem");
  EXPECT_TRUE(toml_problem("[[ [").starts_with("f.toml:1:4: not TOML: ")) << toml_problem("[[ [");
}

TEST(Toml, RefusesTheLongAndTheDeep) {
  EXPECT_FALSE(parse_toml("a = 12345", "f", {.max_bytes = 5}));
  const auto dotted = [](int parts) {
    std::string key = "a";
    for (int i = 1; i < parts; ++i) key += ".a";
    return key;
  };
  EXPECT_EQ(toml_problem(dotted(64) + " = 1"), "no problem");
  EXPECT_EQ(toml_problem(dotted(65) + " = 1"),
            "f.toml:1:133: tables and arrays nest more than 64 deep");
  EXPECT_EQ(toml_problem("a = " + std::string(63, '[') + std::string(63, ']')), "no problem");
  EXPECT_NE(toml_problem("a = " + std::string(65, '[') + std::string(65, ']')), "no problem");
  // Those would take the parser's own stack.
  for (const std::string& text :
       {dotted(200000) + " = 1", "[" + dotted(200000) + "]", "a = {" + dotted(200000) + " = 1}",
        "s = '''\n'''''\n" + dotted(200000) + " = 1",
        "s = \"\\\"\" # \"\n" + dotted(200000) + " = 1"})
    EXPECT_TRUE(toml_problem(text).ends_with("not TOML: tables and arrays nest more than 64 deep"))
        << text.substr(0, 20) << toml_problem(text);
}

TEST(Toml, CountsNoDotsInStringsCommentsAndNumbers) {
  const std::string dots(1000, '.');
  std::string floats = "f = [";
  for (int i = 0; i < 1000; ++i) floats += "1.5,\n";
  EXPECT_EQ(toml_problem("# " + dots + "\na = \"" + dots + "\\\"" + dots + "\"\nb = '" + dots +
                         "'\nc = \"\"\"\n" + dots + "\\\"\"\"\n" + dots +
                         "\"\"\"\"\"\nd = '''\n''" + dots + "'''\n" + floats + "]\n"),
            "no problem");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "[t" + std::to_string(i) + ".x.y]\nk.l = 1.5\n";
  EXPECT_EQ(toml_problem(many), "no problem");
}

TEST(Toml, ReadsEveryCharacterInStringsAndCommentsOnly) {
  EXPECT_EQ(toml_problem("a = 1\n\"\u00e4\".\u00e9 = 2"),
            "f.toml:2:5: not TOML: a character outside of ASCII stands outside of quotes");
  EXPECT_NE(toml_problem("a =\u00a01"), "no problem");
  EXPECT_NE(toml_problem("a = \xef\xaf\x90"), "no problem");
  const Node doc = parsed(
      "\xef\xbb\xbf# \u00e9\n\"\u00e9\" = '\u00e9'\nb = \"\"\"x\\\n  \u00e9 y\"\"\"\nc = "
      "\"\"\"\\\n\uFBD0\"\"\"");
  EXPECT_EQ(doc["\u00e9"].as_string(), "\u00e9");
  EXPECT_EQ(doc["b"].as_string(), "x\u00e9 y");
  EXPECT_EQ(doc["c"].as_string(), "\uFBD0");
}

TEST(Toml, IsEqualWhateverTheOrderOfATable) {
  EXPECT_EQ(parsed("a=1\nb={x=1,y=2}"), parsed("b={y=2,x=1}\na=1"));
  EXPECT_NE(parsed("a=1"), parsed("a=1.0"));
  EXPECT_NE(parsed("a=[1,2]"), parsed("a=[2,1]"));
  EXPECT_NE(parsed("a=1"), parsed("b=1"));
  EXPECT_NE(parsed("a='2000-01-01'"), parsed("a=2000-01-01"));
}

TEST(Toml, OfTwoMembersOfOneNameInJsonTheLastOneCounts) {
  const auto json = Json::parse(R"({"a":1,"b":2,"a":3})", {.reject_duplicates = false});
  EXPECT_EQ(write_toml(Node::from_json(*json)).value(), "a = 3\nb = 2\n");
}

TEST(Toml, BuildsTables) {
  Node doc;
  doc.set("a", 1).set("a", 2);
  doc.set("l", Node().push("x").push(1.0));
  EXPECT_EQ(write_toml(doc).value(), "a = 2\nl = [\"x\", 1.0]\n");
}

}  // namespace
}  // namespace locald
