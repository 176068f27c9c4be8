#include "oci/spec/go_json.h"

#include <gtest/gtest.h>

namespace locald::oci {
namespace {

std::string again(const std::string& text) { return go_json(*Json::parse(text)); }

// What stands on the right is what encoding/json of Go 1.26 printed.

TEST(GoJson, EscapesWhatCouldEndAScript) {
  EXPECT_EQ(go_string("a<b> & \"c\" \\ /"), R"("a\u003cb\u003e \u0026 \"c\" \\ /")");
  EXPECT_EQ(go_string("\xe2\x80\xa8\xe2\x80\xa9"), R"("\u2028\u2029")");
  EXPECT_EQ(go_string("\b\f\n\r\t\v\x01\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\x7f\"");
}

TEST(GoJson, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(go_string("grün 日本 \xf0\x9f\x99\x82"), "\"grün 日本 \xf0\x9f\x99\x82\"");
  EXPECT_EQ(go_string("\xff"
                      "a\xc3"),
            R"("\ufffda\ufffd")");
  EXPECT_EQ(go_string("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"),
            R"("\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd")");
  EXPECT_EQ(go_string("\xe2\x80"
                      "x"),
            R"("\ufffd\ufffdx")");
}

TEST(GoJson, SortsMembersByTheirBytes) {
  EXPECT_EQ(again(R"({"b":1,"a":{"z":null,"B":[]},"aa":{},"":true,"ä":0,"z":0})"),
            R"({"":true,"a":{"B":[],"z":null},"aa":{},"b":1,"z":0,"ä":0})");
}

TEST(GoJson, WritesNumbersAsGoDoes) {
  EXPECT_EQ(again("[0,-1,9223372036854775807,-9223372036854775808]"),
            "[0,-1,9223372036854775807,-9223372036854775808]");
  EXPECT_EQ(again("[1.0,1.5,-0.25,100000.0,1e20,1e21,123456789012345680000.0]"),
            "[1,1.5,-0.25,100000,100000000000000000000,1e+21,123456789012345680000]");
  EXPECT_EQ(again("[0.000001,0.0000009,1e-7,1.5e-9,1e-10,2.2250738585072014e-308,1e300]"),
            "[0.000001,9e-7,1e-7,1.5e-9,1e-10,2.2250738585072014e-308,1e+300]");
  EXPECT_EQ(again("[0.1,3.14,2.5e3,9007199254740993.0]"), "[0.1,3.14,2500,9007199254740992]");
}

TEST(GoJson, AnObjectKeepsTheOrderOfItsCalls) {
  GoObject o;
  o.text("z", "<").text_unless_empty("left-out", "").flag("b", false).value("a", Json());
  o.raw_unless_empty("no", go_strings_or_nothing({})).raw("yes", go_strings_or_nothing({"1", "&"}));
  EXPECT_EQ(std::move(o).str(), R"({"z":"\u003c","b":false,"a":null,"yes":["1","\u0026"]})");
  EXPECT_EQ(GoObject().str(), "{}");
}

}  // namespace
}  // namespace locald::oci
