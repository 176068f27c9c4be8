#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "oci/spec/runtime_spec.h"

/// How the objects of a runtime spec are read and written; for runtime_spec.cc.
namespace locald::oci::spec {

/// Reads one object: checks the types of its members, remembers which of them are known, and hands
/// out the rest. A member that is missing or null leaves `out` as it is.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  static Result<Reader> of(const Json& value, std::string where) {
    if (!value.is_object()) return Error(Errc::invalid_input, where + ": not an object");
    return Reader(value, std::move(where));
  }

  const Json& at(std::string_view key) {
    known_.emplace_back(key);
    return object_[key];
  }
  std::string path(std::string_view key) const {
    return where_.empty() ? std::string(key) : where_ + "." + std::string(key);
  }
  Error wrong(std::string_view key, const char* what) const {
    return Error(Errc::invalid_input, path(key) + ": " + what);
  }

  Result<void> read(std::string_view key, std::string& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_string()) return wrong(key, "not a string");
    out = value.as_string();
    return {};
  }
  Result<void> read(std::string_view key, bool& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_bool()) return wrong(key, "not a boolean");
    out = value.as_bool();
    return {};
  }
  template <std::integral T>
  requires(!std::same_as<T, bool>) Result<void> read(std::string_view key, T& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    return number(key, value, out);
  }
  template <typename T>
  Result<void> read(std::string_view key, std::optional<T>& out) {
    if (at(key).is_null()) return {};
    T value{};
    TRY(read(key, value));
    out = value;
    return {};
  }
  Result<void> read(std::string_view key, std::vector<std::string>& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_array()) return wrong(key, "not an array");
    for (const Json& item : value.as_array()) {
      if (!item.is_string()) return wrong(key, "holds something that is not a string");
      out.push_back(item.as_string());
    }
    return {};
  }
  Result<void> read(std::string_view key, std::vector<std::uint32_t>& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_array()) return wrong(key, "not an array");
    for (const Json& item : value.as_array()) {
      std::uint32_t n = 0;
      TRY(number(key, item, n));
      out.push_back(n);
    }
    return {};
  }
  Result<void> read(std::string_view key, std::map<std::string, std::string>& out) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_object()) return wrong(key, "not an object");
    for (const auto& [name, item] : value.as_object()) {
      if (!item.is_string()) return wrong(key, "holds something that is not a string");
      out[name] = item.as_string();
    }
    return {};
  }
  /// An array of objects, each read by `one`.
  template <typename T>
  Result<void> read_all(std::string_view key, std::vector<T>& out, Result<T> (*one)(Reader)) {
    const Json& value = at(key);
    if (value.is_null()) return {};
    if (!value.is_array()) return wrong(key, "not an array");
    std::size_t i = 0;
    for (const Json& item : value.as_array())
      out.push_back(TRY(one(TRY(Reader::of(item, path(key) + "[" + std::to_string(i++) + "]")))));
    return {};
  }

  /// An object, read by `one`.
  template <typename T>
  Result<void> read_part(std::string_view key, std::optional<T>& out, Result<T> (*one)(Reader)) {
    if (const Json& value = at(key); !value.is_null())
      out = TRY(one(TRY(Reader::of(value, path(key)))));
    return {};
  }

  /// The members that were not asked for.
  Other rest() const {
    Other other;
    for (const auto& member : object_.as_object())
      if (std::find(known_.begin(), known_.end(), member.first) == known_.end())
        other.push_back(member);
    return other;
  }
  /// There are none. @return Errc::unsupported
  Result<void> end() const {
    for (const auto& member : object_.as_object())
      if (std::find(known_.begin(), known_.end(), member.first) == known_.end())
        return Error(Errc::unsupported, path(member.first) + ": this member is not supported here");
    return {};
  }

 private:
  template <typename T>
  Result<void> number(std::string_view key, const Json& value, T& out) const {
    if (value.is_number() && !value.is_int()) return wrong(key, "not a whole number, or too large");
    if (!value.is_int()) return wrong(key, "not a number");
    if (!std::in_range<T>(value.as_int())) return wrong(key, "out of range");
    out = static_cast<T>(value.as_int());
    return {};
  }

  const Json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

/// Writes one object: its members in the order of the calls; add() leaves defaults out.
class Writer {
 public:
  explicit Writer(std::size_t expected = 8) { members_.reserve(expected); }
  void must(const char* key, Json value) { members_.emplace_back(key, std::move(value)); }
  void add(const char* key, const std::string& value) {
    if (!value.empty()) must(key, value);
  }
  void add(const char* key, bool value) {
    if (value) must(key, value);
  }
  template <typename T>
  void add(const char* key, const std::optional<T>& value) {
    if (value) must(key, Json(*value));
  }
  void add(const char* key, const std::vector<std::string>& value) {
    if (!value.empty()) must(key, value);
  }
  void add(const char* key, const std::vector<std::uint32_t>& value) {
    if (value.empty()) return;
    Json::Array items(value.begin(), value.end());
    must(key, Json(std::move(items)));
  }
  void add(const char* key, const std::map<std::string, std::string>& value) {
    if (value.empty()) return;
    Json::Object object;
    for (const auto& [name, item] : value) object.emplace_back(name, item);
    must(key, Json(std::move(object)));
  }
  template <typename T>
  void add_all(const char* key, const std::vector<T>& values, Json (*one)(const T&)) {
    if (values.empty()) return;
    Json::Array items;
    items.reserve(values.size());
    for (const T& value : values) items.push_back(one(value));
    must(key, Json(std::move(items)));
  }
  Json done(const Other& other = {}) && {
    members_.insert(members_.end(), other.begin(), other.end());
    return Json(std::move(members_));
  }

 private:
  Json::Object members_;
};

}  // namespace locald::oci::spec
