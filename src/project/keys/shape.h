#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

/// What may stand at a key. Readers take their bounds and words from it, and what describes keys
/// (reference/) takes it whole.
namespace locald::project {

struct Field;

struct Shape {
  enum class Kind : std::uint8_t {
    text,
    whole,    ///< a number from `low` to `high`
    number,   ///< above 0
    boolean,  ///< where `low` is 1, true alone
    words,    ///< one of `words`
    list,     ///< of parts[0]
    names,    ///< a table whose keys people choose, of parts[0]
    table,    ///< of `fields`
    either,   ///< one of `parts`, of which no two fit the same value
  };
  Kind kind = Kind::text;
  std::string_view called;   ///< what pages call it: "duration"; empty: as its kind
  std::string_view pattern;  ///< a regular expression (ECMAScript) for a text, or the keys of names
  std::int64_t low = 0, high = 0;
  std::vector<std::string_view> words;
  std::vector<const Shape*> parts;
  std::vector<Field> (*fields)() = nullptr;  ///< to be looked at; their `read` reads into nothing
  std::vector<std::string_view> required;    ///< keys that a table must have
  std::vector<std::string_view> one_of;      ///< keys of which a table must have exactly one
  /// Of tables among which `type` decides: the key that decides where it is not written.
  std::string_view implied_by;
  bool not_empty = false;  ///< list, names
};

/// The shapes that many keys have. Each call gives the same object.
namespace shapes {

/// What valid_name() takes.
inline constexpr std::string_view kNamePattern = "^[a-z0-9][a-z0-9_-]{0,62}$";

const Shape& text();
const Shape& name();
const Shape& boolean();
const Shape& duration();
const Shape& size();
const Shape& texts();          ///< a list
const Shape& text_or_texts();  ///< or one of them alone
const Shape& command();
const Shape& variables();  ///< NAME = "value", numbers, true and false
const Shape& folders();    ///< NAME = "folder"

template <std::int64_t low, std::int64_t high>
const Shape& whole() {
  static const Shape shape{.kind = Shape::Kind::whole, .low = low, .high = high};
  return shape;
}
inline const Shape& port() { return whole<1, 65535>(); }

/// The words of a list of words and their meanings.
template <typename T, std::size_t n>
std::vector<std::string_view> words_of(const std::pair<std::string_view, T> (&choices)[n]) {
  std::vector<std::string_view> out;
  for (const auto& [word, meaning] : choices) out.push_back(word);
  return out;
}

}  // namespace shapes

}  // namespace locald::project
