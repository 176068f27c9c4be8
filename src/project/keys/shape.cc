#include "project/keys/shape.h"

#include <cstdint>

namespace locald::project::shapes {

const Shape& text() {
  static const Shape shape{.kind = Shape::Kind::text};
  return shape;
}
const Shape& name() {
  static const Shape shape{.kind = Shape::Kind::text, .pattern = kNamePattern};
  return shape;
}
const Shape& boolean() {
  static const Shape shape{.kind = Shape::Kind::boolean};
  return shape;
}
const Shape& duration() {
  static const Shape shape{.kind = Shape::Kind::text,
                           .called = "duration",
                           .pattern = "^(?=.)(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$"};
  return shape;
}
const Shape& size() {
  static const Shape written{
      .kind = Shape::Kind::text, .called = "size", .pattern = "^\\d+([bB]|[kKmMgGtT][bB]?)?$"};
  static const Shape bytes{
      .kind = Shape::Kind::whole, .called = "bytes", .low = 1, .high = std::int64_t{1} << 62};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&written, &bytes}};
  return shape;
}
const Shape& texts() {
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&text()}};
  return shape;
}
const Shape& text_or_texts() {
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&text(), &texts()}};
  return shape;
}
const Shape& command() {
  static const Shape line{.kind = Shape::Kind::text, .pattern = "\\S"};
  static const Shape words{.kind = Shape::Kind::list, .parts = {&text()}, .not_empty = true};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&line, &words}};
  return shape;
}
const Shape& variables() {
  static const Shape integer{.kind = Shape::Kind::whole, .low = INT64_MIN, .high = INT64_MAX};
  static const Shape value{.kind = Shape::Kind::either, .parts = {&text(), &integer, &boolean()}};
  static const Shape shape{
      .kind = Shape::Kind::names, .called = "table of variables", .parts = {&value}};
  return shape;
}
const Shape& folders() {
  static const Shape shape{
      .kind = Shape::Kind::names, .called = "table of folders", .parts = {&text()}};
  return shape;
}

}  // namespace locald::project::shapes
