#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/json/json.h"
#include "base/node/text_problem.h"
#include "base/result.h"

namespace locald {

/// A value of a file that people write, whatever its syntax: the twin of Json, with places. The
/// syntaxes have a header each (toml.h).
///
///     auto doc = TRY(parse_toml(text, "buildpack.toml"));
///     auto api = TRY(doc.get_string("api"));   // "buildpack.toml:1:7: `api` must be a string, …"
///     bool clear = doc["buildpack"]["clear-env"].as_bool();
///
/// A table keeps its members in the order of the file; a node that was parsed knows its place. A
/// value may also be nothing: it is what a missing key reads as, and what JSON's null becomes.
/// Thread-compatible.
class Node {
 public:
  /// A date, a time, or both, with or without an offset, as text in one
  /// spelling (that of TOML): `T` between date and time, `Z` for no offset, no zeros at the end of
  /// a fraction of a second (at most nine digits).
  struct DateTime {
    std::string text;
    friend bool operator==(const DateTime&, const DateTime&) = default;
  };
  using Array = std::vector<Node>;
  using Member = std::pair<std::string, Node>;
  using Table = std::vector<Member>;  ///< no two members of one name: the owner sees to it

  Node() = default;                                             ///< nothing
  Node(bool value) : value_(value) {}                           // NOLINT: implicit, all of these
  Node(double value) : value_(value) {}                         // NOLINT
  Node(std::string value) : value_(std::move(value)) {}         // NOLINT
  Node(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Node(const char* value) : value_(std::string(value)) {}       // NOLINT
  Node(DateTime value) : value_(std::move(value)) {}            // NOLINT
  Node(Array value) : value_(std::move(value)) {}               // NOLINT
  Node(Table value) : value_(std::move(value)) {}               // NOLINT
  Node(const std::vector<std::string>& values);                 // NOLINT
  template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Node(T value)
      : value_(static_cast<std::int64_t>(value)) {}  // NOLINT

  static Node table(std::initializer_list<Member> members = {}) { return Node(Table(members)); }
  static Node array(std::initializer_list<Node> items = {}) { return Node(Array(items)); }

  /// The same value with the members of every table in the order of their bytes.
  Node sorted() const;

  bool is_nothing() const noexcept { return value_.index() == 0; }
  bool is_table() const noexcept { return std::holds_alternative<Table>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_int() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  bool is_float() const noexcept { return std::holds_alternative<double>(value_); }
  bool is_number() const noexcept { return is_int() || is_float(); }
  bool is_date_time() const noexcept { return std::holds_alternative<DateTime>(value_); }
  /// What it is, for messages: "a string", "a table", "nothing".
  std::string_view kind() const noexcept;

  /// Where the value stands; of a table its header, or its key where it has none. The
  /// document itself and values of our own making stand nowhere.
  SourcePos at() const noexcept { return at_; }
  /// Where its key stands; a value that is not a member has no place.
  SourcePos key_at() const noexcept { return key_at_; }
  /// The file it was read from; "" for values that no file holds.
  const std::string& file() const noexcept;
  /// Says where the value stands: for what reads a syntax. `file` is shared by all its nodes.
  void place_in(std::shared_ptr<const std::string> file, SourcePos at);
  void place_key(SourcePos at) { key_at_ = at; }
  /// Says that the value stands where `other` does, its key too.
  void place_as(const Node& other);
  /// Errc::invalid_input with the place in front: "FILE:LINE:COLUMN: MESSAGE".
  Error error(std::string_view message) const;

  /// Plain reads with a fallback for another type.
  const std::string& as_string() const noexcept;  ///< "" if not a string
  std::int64_t as_int(std::int64_t fallback = 0) const noexcept;
  double as_double(double fallback = 0) const noexcept;  ///< also of a whole number
  bool as_bool(bool fallback = false) const noexcept;
  const std::string& as_date_time() const noexcept;  ///< its text; "" if it is none
  const Array& as_array() const noexcept;            ///< empty if not an array
  const Table& as_table() const noexcept;            ///< empty if not a table
  std::vector<std::string> as_strings() const;  ///< the strings of an array; others are left out

  /// The member `key`, or a nothing: chains (`doc["a"]["b"].as_int()`).
  const Node& operator[](std::string_view key) const noexcept;
  /// True if this is a table with the member `key`.
  bool contains(std::string_view key) const noexcept;

  /// Strict reads, for documents from outside. The Errc::invalid_input says where, which
  /// key, what it is and what was expected.
  Result<std::string> get_string(std::string_view key) const;
  Result<std::int64_t> get_int(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  /// As above; an absent member gives `fallback`, another type is an error.
  Result<std::string> get_string_or(std::string_view key, std::string fallback) const;
  Result<std::int64_t> get_int_or(std::string_view key, std::int64_t fallback) const;
  Result<bool> get_bool_or(std::string_view key, bool fallback) const;
  /// An array of strings; absent is empty, another type an error.
  Result<std::vector<std::string>> get_strings(std::string_view key) const;
  /// The tables of an array of tables, as they stand here (the pointers live as long as this
  /// value does); absent is empty, another type an error.
  Result<std::vector<const Node*>> get_tables(std::string_view key) const;

  /// Sets or replaces a member; a nothing becomes a table first.
  Node& set(std::string key, Node value);
  /// Appends to an array; a nothing becomes an array first.
  Node& push(Node value);
  /// Removes the member `key`; false where there is none.
  bool erase(std::string_view key);
  /// To be changed in place: the member `key`, all members, all items; null where there is none.
  Node* find(std::string_view key) noexcept;
  Table* members() noexcept;
  Array* items() noexcept;

  /// As Go's encoding/json has it: a date-time is a string in RFC 3339, a local one read as
  /// UTC, as in a container without a time zone.
  /// @return Errc::invalid_input for inf and nan, which JSON cannot say.
  Result<Json> to_json() const;
  /// null becomes a nothing; of members of one name the last one counts.
  static Node from_json(const Json& json);
  /// The same value with a float for every whole number (1 becomes 1.0).
  ///
  /// Why anyone would want that: the lifecycle carries the metadata of layers from one build
  /// to the next in a label of the image, as JSON, and Go reads every number of untyped JSON
  /// as a float64. So a buildpack that wrote `version = 1` finds `version = 1.0` in the
  /// <layer>.toml that the next build restores, and some compare.
  Node as_json_numbers() const;

  /// Equal in meaning: a table's order and a node's place do not count, nan is nan.
  friend bool operator==(const Node& a, const Node& b);

 private:
  void sort_members();
  void make_floats();

  std::variant<std::monostate, bool, std::int64_t, double, std::string, DateTime, Array, Table>
      value_;
  std::shared_ptr<const std::string> file_;
  SourcePos at_, key_at_;
};

}  // namespace locald
