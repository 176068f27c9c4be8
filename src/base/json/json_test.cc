#include "base/json/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

namespace locald {
namespace {

TEST(Json, PrintsWhatItParsed) {
  for (const char* text : {"null", "true", "-7", "0", "-0", "9007199254740993", "1.5",
                           R"("a\"\\\n\u0001é")", "[]", "{}", R"({"a":[1,{"b":null}],"c":"d"})"}) {
    auto value = Json::parse(text);
    ASSERT_TRUE(value) << text << ": " << value.error().message();
    EXPECT_EQ(value->dump(), text);
  }
}

TEST(Json, ReadsTheNearestDouble) {
  for (const char* text : {"6.626e-34", "1.7976931348623157e+308", "5e-324", "0.1", "-0.3",
                           "123456789012345680000", "9007199254740993.5"})
    EXPECT_EQ(Json::parse(text)->as_double(), std::strtod(text, nullptr)) << text;
  EXPECT_EQ(Json::parse("[-0,6.626e-34,7,-0.5]")->dump(), "[-0,6.626e-34,7,-0.5]");
}

TEST(Json, ReadsEveryNumberToTheLastBit) {
  std::uint64_t x = 88172645463325252u;
  for (int i = 0; i < 50'000; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    double number = 0;
    std::memcpy(&number, &x, sizeof number);
    if (!std::isfinite(number)) continue;
    const auto again = Json::parse(Json(number).dump());
    ASSERT_TRUE(again);
    ASSERT_EQ(again->as_double(), number) << Json(number).dump();
  }
  EXPECT_EQ(Json::parse("123456789012345680000.0")->as_double(), 123456789012345680000.0);
  EXPECT_EQ(Json::parse("[0.1, -1.5e-7]")->as_array()[1].as_double(), -1.5e-7);
}

TEST(Json, RefusesWhatTwoReadersCouldUnderstandInTwoWays) {
  EXPECT_EQ(Json::parse(R"({"a":1,"a":2})").error().message(),
            "JSON, line 1: the member \"a\" is there twice");
  EXPECT_FALSE(Json::parse(R"({"Layers":1,"layers":2})"));
  EXPECT_TRUE(Json::parse(R"({"a":1,"A":2})", {.reject_duplicates = false}));
}

TEST(Json, SeesANameThatIsThereTwiceAmongFewAndAmongMany) {
  for (const int others : {0, 20, 200}) {
    std::string text = R"({"Name":1)";
    for (int i = 0; i < others; ++i) text += ",\"" + std::to_string(i) + "\":[{}]";
    EXPECT_TRUE(Json::parse(text + "}")) << others;
    const auto twice = Json::parse(text + R"(,"nAME":2})");
    ASSERT_FALSE(twice) << others;
    EXPECT_NE(twice.error().message().find("\"name\" is there twice"), std::string::npos);
  }
}

TEST(Json, KeepsWhatIsNestedApart) {
  const std::string text = R"({"a":[1,{"b":[],"c":{}},[2,[3]]],"d":{"e":{"f":"g"}},"h":null})";
  EXPECT_EQ(Json::parse(text)->dump(), text);
  Json json = *Json::parse(text);
  EXPECT_EQ(json.take("d").dump(), R"({"e":{"f":"g"}})");
  EXPECT_TRUE(json["d"].is_null());
  EXPECT_TRUE(json.contains("d"));
  EXPECT_TRUE(json.take("none").is_null());
}

TEST(Json, RefusesCutLongDeepAndTrailing) {
  EXPECT_FALSE(Json::parse(""));
  EXPECT_FALSE(Json::parse("{\"a\":"));
  EXPECT_FALSE(Json::parse("1 2"));
  EXPECT_FALSE(Json::parse("// c\n1"));
  EXPECT_FALSE(Json::parse(std::string(100, '[') + std::string(100, ']')));
  EXPECT_FALSE(Json::parse("[1,2,3]", {.max_bytes = 3}));
  EXPECT_TRUE(Json::parse(" {} \n"));
}

TEST(Json, StrictReadsNameTheKey) {
  const Json doc = *Json::parse(R"({"size":"big","tags":["a",1]})");
  EXPECT_EQ(doc.get_int("size").error().message(), "\"size\" is not a whole number");
  EXPECT_EQ(doc.get_string("name").error().message(), "\"name\" is missing");
  EXPECT_FALSE(doc.get_strings("tags"));
  EXPECT_EQ(*doc.get_string_or("name", "x"), "x");
}

TEST(Json, BuildsObjectsInOrder) {
  Json doc = Json::object({{"name", "web"}, {"pid", 42}, {"url", nullptr}});
  doc.set("pid", 43).set("ok", true);
  doc.set("list", std::vector<std::string>{"x", "y"});
  EXPECT_EQ(doc.dump(), R"({"name":"web","pid":43,"url":null,"ok":true,"list":["x","y"]})");
  EXPECT_EQ(*Json::parse(doc.dump(true)), doc);
}

}  // namespace
}  // namespace locald
