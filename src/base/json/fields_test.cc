#include "base/json/fields.h"

#include <gtest/gtest.h>

#include <array>

namespace locald {
namespace {

enum class Colour : std::uint8_t { red, green, blue };
enum class Shape : std::uint8_t { round, square };

}  // namespace

template <>
struct EnumWords<Colour> {
  static constexpr std::array<std::string_view, 3> kWords{"red", "green", "blue"};
};
template <>
struct EnumNumbers<Shape> {
  static constexpr int kLast = 1;
};

namespace {

struct Wheel {
  std::string tyre;
  std::uint8_t spokes = 32;

  static const Fields& fields() {
    static const Fields table = FieldsOf<Wheel>("wheel")
                                    .required("tyre", &Wheel::tyre, "its make")
                                    .field("spokes", &Wheel::spokes, "how many");
    return table;
  }
  friend bool operator==(const Wheel&, const Wheel&) = default;
};

struct Lights {
  bool front = true, rear = false;

  static const Fields& fields() {
    static const Fields table = FieldsOf<Lights>("lights")
                                    .field("front", &Lights::front, "")
                                    .field("rear", &Lights::rear, "");
    return table;
  }
  friend bool operator==(const Lights&, const Lights&) = default;
};

struct Bicycle {
  std::string owner = "nobody";
  int gears = 0;
  double weight = 0;
  Colour colour = Colour::red;
  Shape frame = Shape::round;
  std::chrono::milliseconds age{0};
  std::optional<std::int64_t> number;
  std::vector<Wheel> wheels;
  std::map<std::string, std::string> stickers;
  std::map<std::string, std::vector<std::optional<int>>> rides;
  std::vector<std::string> bags;
  Json rest;
  std::string place;
  std::uint64_t price = 0;
  Lights lights{.front = true, .rear = true};

  static const Fields& fields() {
    static const Fields table = FieldsOf<Bicycle>("bicycle")
                                    .field("owner", &Bicycle::owner, "whose it is")
                                    .always("gears", &Bicycle::gears, "")
                                    .field("weight", &Bicycle::weight, "kg")
                                    .field("colour", &Bicycle::colour, "")
                                    .field("frame", &Bicycle::frame, "")
                                    .field("age", &Bicycle::age, "ms")
                                    .field("number", &Bicycle::number, "")
                                    .field("wheels", &Bicycle::wheels, "")
                                    .field("stickers", &Bicycle::stickers, "")
                                    .field("rides", &Bicycle::rides, "")
                                    .field("bags", &Bicycle::bags, "")
                                    .field("rest", &Bicycle::rest, "")
                                    .path("place", &Bicycle::place, "")
                                    .field("price", &Bicycle::price, "")
                                    .flat(&Bicycle::lights);
    return table;
  }
  friend bool operator==(const Bicycle&, const Bicycle&) = default;
};

Bicycle rich() {
  return {.owner = "",
          .gears = -3,
          .weight = 9.5,
          .colour = Colour::blue,
          .frame = Shape::square,
          .age = std::chrono::milliseconds(-5),
          .number = 0,
          .wheels = {{"a", 0}, {"b", 255}},
          .stickers = {{"x", "\xff"}, {"", "empty"}},
          .rides = {{"may", {1, std::nullopt}}},
          .bags = {"", "b", "[", "\"{\n"},
          .rest = Json::array({1, nullptr}),
          .place = "/garage",
          .price = 1ull << 62,
          .lights = {.front = false, .rear = false}};
}

/// What is wrong with the text, hint and all; "" for nothing.
std::string problem(const std::string& text, Reading reading = Reading::strict) {
  const auto read = decode<Bicycle>(*Json::parse(text), reading);
  return read ? "" : read.error().message() + "|" + read.error().hint();
}

TEST(Fields, WhatIsWrittenIsReadBack) {
  for (const Bicycle& bicycle : {Bicycle{}, rich()})
    for (const Reading reading : {Reading::strict, Reading::tolerant}) {
      const auto text = encode(bicycle).dump();
      EXPECT_EQ(encode_text(bicycle).str(), text);
      const auto again = decode<Bicycle>(*Json::parse(text, {.any_bytes = true}), reading);
      ASSERT_TRUE(again) << again.error().text();
      EXPECT_TRUE(*again == bicycle) << text;
      EXPECT_EQ(encode(*again).dump(), text);
    }
}

TEST(Fields, DefaultsAreLeftOutUnlessTheyAreAlwaysWritten) {
  EXPECT_EQ(encode(Bicycle{}).dump(), R"({"gears":0})");
  EXPECT_EQ(encode(Wheel{}).dump(), R"({"tyre":""})");
  Bicycle other;
  other.lights.front = false;
  other.owner = "me";
  EXPECT_EQ(encode(other).dump(), R"({"owner":"me","gears":0,"front":false})");
  // The defaults are those of the whole, not of the part.
  EXPECT_TRUE(decode<Bicycle>(Json::object())->lights.rear);
  EXPECT_FALSE(decode<Lights>(Json::object())->rear);
}

TEST(Fields, AWrongTypeIsToldWithItsPlace) {
  EXPECT_EQ(problem(R"({"owner": 7})"), "bicycle: owner: must be a string, it is a number|");
  EXPECT_EQ(problem(R"({"bags": ["a", "b", 3]})"),
            "bicycle: bags[2]: must be a string, it is a number|");
  EXPECT_EQ(problem(R"({"wheels": [{"tyre": "x"}, {"tyre": "x", "spokes": "many"}]})"),
            "bicycle: wheels[1].spokes: must be an integer, it is a string|");
  EXPECT_EQ(problem(R"({"rides": {"may": [1, {}]}})"),
            "bicycle: rides.may[1]: must be an integer, it is an object|");
  EXPECT_EQ(problem(R"({"stickers": []})"), "bicycle: stickers: must be an object, it is a list|");
  EXPECT_EQ(problem(R"({"wheels": [7]})"),
            "bicycle: wheels[0]: must be an object, it is a number|");
  EXPECT_EQ(problem(R"({"front": "yes"})"),
            "bicycle: front: must be true or false, it is a string|");
  EXPECT_EQ(problem(R"({"weight": true})"), "bicycle: weight: must be a number, it is true|");
  EXPECT_EQ(problem(R"({"place": "garage"})"),
            "bicycle: place: must be an absolute path, it is \"garage\"|");
  EXPECT_EQ(problem("[]"), "bicycle: must be an object, it is a list|");
  for (const Reading reading : {Reading::strict, Reading::tolerant})
    EXPECT_NE(problem(R"({"owner": 7})", reading), "");
}

TEST(Fields, AMissingFieldIsToldWithItsPlace) {
  EXPECT_EQ(problem(R"({"wheels": [{}]})"), "bicycle: wheels[0].tyre: missing|");
  EXPECT_EQ(problem(R"({"wheels": [{"tyre": null}]})", Reading::tolerant),
            "bicycle: wheels[0].tyre: missing|");
}

TEST(Fields, AnUnknownFieldIsAnErrorThatNamesTheOneThatWasMeant) {
  EXPECT_EQ(problem(R"({"onwer": "me"})"),
            "bicycle: unknown field \"onwer\"|did you mean \"owner\"?");
  EXPECT_EQ(problem(R"({"wheels": [{"tyre": "x", "valve": 1}]})"),
            "bicycle: wheels[0]: unknown field \"valve\"|its fields are: tyre, spokes");
  EXPECT_EQ(problem(R"({"onwer": "me", "wheels": [{"tyre": "x", "valve": 1}]})", Reading::tolerant),
            "");
}

TEST(Fields, NullIsAbsentForOptionalsAndForTolerantReaders) {
  EXPECT_EQ(problem(R"({"number": null, "rides": {"x": [null]}})"), "");
  EXPECT_EQ(problem(R"({"owner": null})"), "bicycle: owner: must be a string, it is null|");
  const auto read = decode<Bicycle>(*Json::parse(R"({"owner": null})"), Reading::tolerant);
  EXPECT_EQ(read->owner, "nobody");
}

TEST(Fields, NumbersKeepTheirRange) {
  EXPECT_EQ(problem(R"({"wheels": [{"tyre": "x", "spokes": 256}]})"),
            "bicycle: wheels[0].spokes: must be between 0 and 255, it is 256|");
  EXPECT_EQ(problem(R"({"price": -1})"),
            "bicycle: price: must be between 0 and 9223372036854775807, it is -1|");
  EXPECT_EQ(problem(R"({"gears": 1.5})"), "bicycle: gears: must be an integer of at most 64 bits|");
  EXPECT_EQ(problem(R"({"frame": 2})"), "bicycle: frame: must be between 0 and 1, it is 2|");
  EXPECT_EQ(decode<Bicycle>(*Json::parse(R"({"weight": 12})"))->weight, 12.0);
}

TEST(Fields, WordsAreThoseOfTheEnumeration) {
  EXPECT_EQ(encode(rich())["colour"].as_string(), "blue");
  EXPECT_EQ(problem(R"({"colour": "gren"})"),
            "bicycle: colour: must be red, green or blue, it is \"gren\"|did you mean \"green\"?");
  EXPECT_EQ(problem(R"({"colour": 1})"),
            "bicycle: colour: must be red, green or blue, it is a number|");
}

TEST(Fields, TheTableDescribesItself) {
  std::string text;
  for (const Field& field : Bicycle::fields().all())
    text += field.name + ": " + field.type_name() + "\n";
  EXPECT_EQ(text,
            "owner: string\n"
            "gears: integer\n"
            "weight: number\n"
            "colour: red, green or blue\n"
            "frame: integer\n"
            "age: integer\n"
            "number: integer or null\n"
            "wheels: list of objects: wheel\n"
            "stickers: map of strings\n"
            "rides: map of lists of integers or null\n"
            "bags: list of strings\n"
            "rest: value\n"
            "place: string\n"
            "price: integer\n"
            "front: boolean\n"
            "rear: boolean\n");
  EXPECT_EQ(Bicycle::fields().find("owner")->doc, "whose it is");
}

}  // namespace
}  // namespace locald
