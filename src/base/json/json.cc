#include "base/json/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <iterator>
#include <limits>

#include "base/strings.h"

namespace locald {
namespace {

/// Up to here comparing each with each is faster than sorting.
constexpr std::size_t kFewMembers = 32;

bool same_but_for_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

bool all_differ(const Json::Object& members) {
  for (auto member = members.begin(); member != members.end(); ++member)
    for (auto other = members.begin(); other != member; ++other)
      if (same_but_for_case(member->first, other->first)) return false;
  return true;
}

/// What Boost's parser calls: builds our values, and refuses what two readers
/// of one document could understand in two ways.
struct Handler {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  using error_code = boost::json::error_code;
  using string_view = boost::json::string_view;

  explicit Handler(bool duplicates_refused) : reject_duplicates(duplicates_refused) {}

  bool reject_duplicates;
  // Of all that is open, one behind the other: members whose value is being read or has been, and
  // items, which have no name. Each object and array is cut off its end when it is complete.
  Json::Object pending;
  std::vector<bool> in_object;  // what is open
  Json result;
  std::string text;     // of the string, key or number that is being read
  std::string problem;  // why we stopped the parser

  bool add(Json value) {
    if (in_object.empty())
      result = std::move(value);
    else if (in_object.back())
      pending.back().second = std::move(value);
    else
      pending.emplace_back(std::string(), std::move(value));
    return true;
  }
  bool unique(const Json::Object& members, error_code& ec) {
    if (members.size() <= kFewMembers && all_differ(members)) return true;
    std::vector<std::string> names;
    names.reserve(members.size());
    for (const auto& [name, value] : members) names.push_back(to_lower(name));
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return true;
    problem = "the member \"" + *twice + "\" is there twice";
    ec = boost::json::error::exception;
    return false;
  }
  std::string take() { return std::exchange(text, {}); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    in_object.push_back(true);
    return true;
  }
  bool on_object_end(std::size_t size, error_code& ec) {
    const auto first = pending.end() - static_cast<std::ptrdiff_t>(size);
    Json::Object members(std::make_move_iterator(first), std::make_move_iterator(pending.end()));
    pending.erase(first, pending.end());
    in_object.pop_back();
    if (reject_duplicates && !unique(members, ec)) return false;
    return add(std::move(members));
  }
  bool on_array_begin(error_code&) {
    in_object.push_back(false);
    return true;
  }
  bool on_array_end(std::size_t size, error_code&) {
    const auto first = pending.end() - static_cast<std::ptrdiff_t>(size);
    Json::Array items;
    items.reserve(size);
    for (auto item = first; item != pending.end(); ++item) items.push_back(std::move(item->second));
    pending.erase(first, pending.end());
    in_object.pop_back();
    return add(std::move(items));
  }
  bool on_key_part(string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    pending.emplace_back(take(), Json());
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    return true;
  }
  bool on_string(string_view part, std::size_t, error_code&) {
    text.append(part.data(), part.size());
    return add(take());
  }
  bool on_number_part(string_view part, error_code&) {
    text.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t value, string_view part, error_code&) {
    text.append(part.data(), part.size());
    const bool minus = take().starts_with('-');
    if (value == 0 && minus) return add(-0.0);  // an integer has no such zero
    return add(value);
  }
  bool on_uint64(std::uint64_t value, string_view, error_code&) {
    text.clear();
    return add(static_cast<double>(value));
  }
  bool on_double(double value, string_view part, error_code&) {
    // Boost.JSON 1.81 rounds twice: its 6.626e-34 is not the nearest double.
    text.append(part.data(), part.size());
    const std::string digits = take();
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return add(value);
  }
  bool on_bool(bool value, error_code&) { return add(value); }
  bool on_null(error_code&) { return add(nullptr); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }
};

Error wrong_type(std::string_view key, const Json& owner, const char* wanted) {
  if (!owner.contains(key)) return {Errc::invalid_input, "\"" + std::string(key) + "\" is missing"};
  return {Errc::invalid_input, "\"" + std::string(key) + "\" is not " + wanted};
}

const Json kNull;
const std::string kEmptyString;
const Json::Array kEmptyArray;
const Json::Object kEmptyObject;

}  // namespace

Json::Json(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}

Result<Json> Json::parse(std::string_view text, const ParseOptions& options) {
  if (text.size() > options.max_bytes)
    return Error(Errc::invalid_input, "JSON of more than " + human_bytes(options.max_bytes));
  boost::json::parse_options wanted;
  wanted.max_depth = static_cast<std::size_t>(options.max_depth);
  wanted.allow_invalid_utf8 = options.any_bytes;
  boost::json::basic_parser<Handler> parser(wanted, options.reject_duplicates);
  boost::json::error_code ec;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = boost::json::error::extra_data;
  if (!ec) return std::move(parser.handler().result);
  const auto line =
      1 + std::count(text.begin(),
                     text.begin() + static_cast<std::ptrdiff_t>(std::min(used, text.size())), '\n');
  const std::string& problem = parser.handler().problem;
  return Error(Errc::invalid_input, "JSON, line " + std::to_string(line) + ": " +
                                        (problem.empty() ? ec.message() : problem));
}

const std::string& Json::as_string() const noexcept {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr ? *text : kEmptyString;
}

std::int64_t Json::as_int(std::int64_t fallback) const noexcept {
  const auto* number = std::get_if<std::int64_t>(&value_);
  return number != nullptr ? *number : fallback;
}

double Json::as_double(double fallback) const noexcept {
  if (const auto* number = std::get_if<double>(&value_)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*number);
  return fallback;
}

bool Json::as_bool(bool fallback) const noexcept {
  const auto* flag = std::get_if<bool>(&value_);
  return flag != nullptr ? *flag : fallback;
}

const Json::Array& Json::as_array() const noexcept {
  const auto* items = std::get_if<Array>(&value_);
  return items != nullptr ? *items : kEmptyArray;
}

const Json::Object& Json::as_object() const noexcept {
  const auto* members = std::get_if<Object>(&value_);
  return members != nullptr ? *members : kEmptyObject;
}

std::vector<std::string> Json::as_strings() const {
  std::vector<std::string> out;
  for (const Json& item : as_array())
    if (item.is_string()) out.push_back(item.as_string());
  return out;
}

const Json& Json::operator[](std::string_view key) const noexcept {
  for (const auto& [name, value] : as_object())
    if (name == key) return value;
  return kNull;
}

bool Json::contains(std::string_view key) const noexcept {
  const Object& members = as_object();
  return std::any_of(members.begin(), members.end(),
                     [&](const Member& member) { return member.first == key; });
}

Result<std::string> Json::get_string(std::string_view key) const {
  const Json& member = (*this)[key];
  if (!member.is_string()) return wrong_type(key, *this, "a string");
  return member.as_string();
}

Result<std::int64_t> Json::get_int(std::string_view key) const {
  const Json& member = (*this)[key];
  if (!member.is_int()) return wrong_type(key, *this, "a whole number");
  return member.as_int();
}

Result<bool> Json::get_bool(std::string_view key) const {
  const Json& member = (*this)[key];
  if (!member.is_bool()) return wrong_type(key, *this, "true or false");
  return member.as_bool();
}

Result<std::string> Json::get_string_or(std::string_view key, std::string fallback) const {
  if ((*this)[key].is_null()) return fallback;
  return get_string(key);
}

Result<std::int64_t> Json::get_int_or(std::string_view key, std::int64_t fallback) const {
  if ((*this)[key].is_null()) return fallback;
  return get_int(key);
}

Result<bool> Json::get_bool_or(std::string_view key, bool fallback) const {
  if ((*this)[key].is_null()) return fallback;
  return get_bool(key);
}

Result<std::vector<std::string>> Json::get_strings(std::string_view key) const {
  const Json& member = (*this)[key];
  if (member.is_null()) return std::vector<std::string>();
  std::vector<std::string> out = member.as_strings();
  if (!member.is_array() || out.size() != member.as_array().size())
    return wrong_type(key, *this, "a list of strings");
  return out;
}

Json Json::take(std::string_view key) {
  if (auto* members = std::get_if<Object>(&value_))
    for (auto& [name, value] : *members)
      if (name == key) return std::exchange(value, Json());
  return {};
}

Json& Json::set(std::string key, Json value) {
  if (is_null()) value_ = Object();
  auto& members = std::get<Object>(value_);
  for (auto& [name, old] : members) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  members.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = Array();
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

}  // namespace locald
