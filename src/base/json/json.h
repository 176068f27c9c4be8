#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace locald {

/// A JSON value (RFC 8259), light enough for headers; the parser beneath is
/// Boost.JSON, seen by json.cc alone.
///
///     auto doc = TRY(Json::parse(text));
///     auto size = TRY(doc.get_int("size"));          // "size: missing" | "size: not a number"
///     Json reply = Json::object({{"name", "web"}, {"pid", 42}, {"url", nullptr}});
///     reply.dump();
///
/// Objects keep the order of their members. Integers are exact in the range of
/// int64; others become double. Thread-compatible.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;                                             ///< null
  Json(std::nullptr_t) {}                                       // NOLINT: implicit, all of these
  Json(bool value) : value_(value) {}                           // NOLINT
  Json(double value) : value_(value) {}                         // NOLINT
  Json(std::string value) : value_(std::move(value)) {}         // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT
  Json(Array value) : value_(std::move(value)) {}               // NOLINT
  Json(Object value) : value_(std::move(value)) {}              // NOLINT
  Json(const std::vector<std::string>& values);                 // NOLINT
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Json(T value)
      : value_(static_cast<std::int64_t>(value)) {}  // NOLINT

  static Json object(std::initializer_list<Member> members = {}) { return Json(Object(members)); }
  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }

  struct ParseOptions {
    std::size_t max_bytes = 64u << 20;  ///< refused before parsing
    int max_depth = 64;
    bool reject_duplicates = true;  ///< two members of one name, also when they differ in case only
    bool any_bytes = false;  ///< strings may hold bytes that are not UTF-8, as environments do
  };
  /// Parses one value and nothing after it but white space.
  /// @return Errc::invalid_input with the line and what is wrong.
  static Result<Json> parse(std::string_view text, const ParseOptions& options);
  static Result<Json> parse(std::string_view text) { return parse(text, ParseOptions{}); }

  /// Compact text, or indented by two blanks a level.
  std::string dump(bool pretty = false) const;

  bool is_null() const noexcept { return value_.index() == 0; }
  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_int() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const noexcept { return is_int() || std::holds_alternative<double>(value_); }

  /// Plain reads with a fallback for another type: for values of our own making.
  const std::string& as_string() const noexcept;  ///< "" if not a string
  std::int64_t as_int(std::int64_t fallback = 0) const noexcept;
  double as_double(double fallback = 0) const noexcept;
  bool as_bool(bool fallback = false) const noexcept;
  const Array& as_array() const noexcept;       ///< empty if not an array
  const Object& as_object() const noexcept;     ///< empty if not an object
  std::vector<std::string> as_strings() const;  ///< the strings of an array; others are left out

  /// The member `key`, or a null value: chains (`doc["a"]["b"].as_int()`).
  const Json& operator[](std::string_view key) const noexcept;
  /// True if this is an object with the member `key`, null or not.
  bool contains(std::string_view key) const noexcept;

  /// Strict reads, for documents from outside. Errc::invalid_input names the key.
  Result<std::string> get_string(std::string_view key) const;
  Result<std::int64_t> get_int(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  /// As above; an absent or null member gives `fallback`, another type is an error.
  Result<std::string> get_string_or(std::string_view key, std::string fallback) const;
  Result<std::int64_t> get_int_or(std::string_view key, std::int64_t fallback) const;
  Result<bool> get_bool_or(std::string_view key, bool fallback) const;
  /// An array of strings; absent or null is empty, another type an error.
  Result<std::vector<std::string>> get_strings(std::string_view key) const;

  /// Moves the member `key` out; null stays in its place, and is given where there is none.
  Json take(std::string_view key);
  /// Sets or replaces a member; a null value becomes an object first.
  Json& set(std::string key, Json value);
  /// Appends to an array; a null value becomes an array first.
  Json& push(Json value);

  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

}  // namespace locald
