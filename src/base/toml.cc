#include "base/toml.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace locald {
namespace {

const Toml kNothing;
const std::string kEmptyString;
const Toml::Array kEmptyArray;
const Toml::Table kEmptyTable;

}  // namespace

Toml::Toml(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}

std::string_view Toml::kind() const noexcept {
  static constexpr std::string_view kNames[] = {"nothing",  "true or false", "a number", "a number",
                                                "a string", "a date-time",   "an array", "a table"};
  return kNames[value_.index()];
}

const std::string& Toml::file() const noexcept { return file_ ? *file_ : kEmptyString; }

Error Toml::error(std::string_view message) const {
  return {Errc::invalid_input, place(file(), at_).append(message)};
}

const std::string& Toml::as_string() const noexcept {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr ? *text : kEmptyString;
}

std::int64_t Toml::as_int(std::int64_t fallback) const noexcept {
  const auto* number = std::get_if<std::int64_t>(&value_);
  return number != nullptr ? *number : fallback;
}

double Toml::as_double(double fallback) const noexcept {
  if (const auto* number = std::get_if<double>(&value_)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*number);
  return fallback;
}

bool Toml::as_bool(bool fallback) const noexcept {
  const auto* flag = std::get_if<bool>(&value_);
  return flag != nullptr ? *flag : fallback;
}

const std::string& Toml::as_date_time() const noexcept {
  const auto* value = std::get_if<DateTime>(&value_);
  return value != nullptr ? value->text : kEmptyString;
}

const Toml::Array& Toml::as_array() const noexcept {
  const auto* items = std::get_if<Array>(&value_);
  return items != nullptr ? *items : kEmptyArray;
}

const Toml::Table& Toml::as_table() const noexcept {
  const auto* members = std::get_if<Table>(&value_);
  return members != nullptr ? *members : kEmptyTable;
}

std::vector<std::string> Toml::as_strings() const {
  std::vector<std::string> out;
  for (const Toml& item : as_array())
    if (item.is_string()) out.push_back(item.as_string());
  return out;
}

const Toml& Toml::operator[](std::string_view key) const noexcept {
  for (const auto& [name, value] : as_table())
    if (name == key) return value;
  return kNothing;
}

bool Toml::contains(std::string_view key) const noexcept {
  const Table& members = as_table();
  return std::any_of(members.begin(), members.end(),
                     [&](const Member& member) { return member.first == key; });
}

namespace {

Error wrong_type(const Toml& owner, std::string_view key, const char* wanted) {
  const std::string name = "`" + std::string(key) + "`";
  const Toml& member = owner[key];
  if (member.is_nothing()) return owner.error(name + " is missing (it must be " + wanted + ")");
  return member.error(name + " must be " + wanted + ", not " + std::string(member.kind()));
}

}  // namespace

Result<std::string> Toml::get_string(std::string_view key) const {
  const Toml& member = (*this)[key];
  if (!member.is_string()) return wrong_type(*this, key, "a string");
  return member.as_string();
}

Result<std::int64_t> Toml::get_int(std::string_view key) const {
  const Toml& member = (*this)[key];
  if (!member.is_int()) return wrong_type(*this, key, "a whole number");
  return member.as_int();
}

Result<bool> Toml::get_bool(std::string_view key) const {
  const Toml& member = (*this)[key];
  if (!member.is_bool()) return wrong_type(*this, key, "true or false");
  return member.as_bool();
}

Result<std::string> Toml::get_string_or(std::string_view key, std::string fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_string(key);
}

Result<std::int64_t> Toml::get_int_or(std::string_view key, std::int64_t fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_int(key);
}

Result<bool> Toml::get_bool_or(std::string_view key, bool fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_bool(key);
}

Result<std::vector<std::string>> Toml::get_strings(std::string_view key) const {
  const Toml& member = (*this)[key];
  if (member.is_nothing()) return std::vector<std::string>();
  if (!member.is_array()) return wrong_type(*this, key, "an array of strings");
  std::vector<std::string> out;
  for (const Toml& item : member.as_array()) {
    if (!item.is_string())
      return item.error("`" + std::string(key) + "` must be an array of strings, but holds " +
                        std::string(item.kind()));
    out.push_back(item.as_string());
  }
  return out;
}

Result<std::vector<const Toml*>> Toml::get_tables(std::string_view key) const {
  const Toml& member = (*this)[key];
  if (member.is_nothing()) return std::vector<const Toml*>();
  if (!member.is_array()) return wrong_type(*this, key, "an array of tables");
  std::vector<const Toml*> out;
  for (const Toml& item : member.as_array()) {
    if (!item.is_table())
      return item.error("`" + std::string(key) + "` must be an array of tables, but holds " +
                        std::string(item.kind()));
    out.push_back(&item);
  }
  return out;
}

Toml& Toml::set(std::string key, Toml value) {
  if (is_nothing()) value_ = Table();
  auto& members = std::get<Table>(value_);
  for (auto& [name, old] : members) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  members.emplace_back(std::move(key), std::move(value));
  return *this;
}

Toml& Toml::push(Toml value) {
  if (is_nothing()) value_ = Array();
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

void Toml::sort_members() {
  if (auto* items = std::get_if<Array>(&value_)) {
    for (Toml& item : *items) item.sort_members();
  } else if (auto* members = std::get_if<Table>(&value_)) {
    for (auto& [name, value] : *members) value.sort_members();
    std::stable_sort(members->begin(), members->end(),
                     [](const Member& a, const Member& b) { return a.first < b.first; });
  }
}

void Toml::make_floats() {
  if (const auto* number = std::get_if<std::int64_t>(&value_)) {
    value_ = static_cast<double>(*number);
  } else if (auto* items = std::get_if<Array>(&value_)) {
    for (Toml& item : *items) item.make_floats();
  } else if (auto* members = std::get_if<Table>(&value_)) {
    for (auto& [name, value] : *members) value.make_floats();
  }
}

Toml Toml::sorted() const {
  Toml out = *this;
  out.sort_members();
  return out;
}

Toml Toml::as_json_numbers() const {
  Toml out = *this;
  out.make_floats();
  return out;
}

Result<Json> Toml::to_json() const {
  if (is_table()) {
    Json::Object members;
    members.reserve(as_table().size());
    for (const auto& [name, value] : as_table()) members.emplace_back(name, TRY(value.to_json()));
    return Json(std::move(members));
  }
  if (is_array()) {
    Json::Array items;
    items.reserve(as_array().size());
    for (const Toml& item : as_array()) items.push_back(TRY(item.to_json()));
    return Json(std::move(items));
  }
  if (is_string()) return Json(as_string());
  if (is_bool()) return Json(as_bool());
  if (is_int()) return Json(as_int());
  if (is_float()) {
    if (!std::isfinite(as_double())) return error("JSON has no word for inf and nan");
    return Json(as_double());
  }
  if (is_nothing()) return Json();
  const std::string& text = as_date_time();
  const std::size_t time = text.find(':');
  if (time == std::string::npos) return Json(text + "T00:00:00Z");
  if (time == 2) return Json("0000-01-01T" + text + "Z");
  const bool offset = text.find_first_of("Z+", time) != std::string::npos ||
                      text.find('-', time) != std::string::npos;
  return Json(offset ? text : text + "Z");
}

Toml Toml::from_json(const Json& json) {
  if (json.is_object()) {
    Table members;
    std::map<std::string_view, std::size_t> places;
    for (const auto& [name, value] : json.as_object()) {
      const auto [known, is_new] = places.emplace(name, members.size());
      if (is_new)
        members.emplace_back(name, from_json(value));
      else
        members[known->second].second = from_json(value);
    }
    return Toml(std::move(members));
  }
  if (json.is_array()) {
    Array items;
    items.reserve(json.as_array().size());
    for (const Json& item : json.as_array()) items.push_back(from_json(item));
    return Toml(std::move(items));
  }
  if (json.is_string()) return Toml(json.as_string());
  if (json.is_bool()) return Toml(json.as_bool());
  if (json.is_int()) return Toml(json.as_int());
  if (json.is_number()) return Toml(json.as_double());
  return {};
}

bool operator==(const Toml& a, const Toml& b) {
  if (a.is_float() && b.is_float())
    return a.as_double() == b.as_double() ||
           (std::isnan(a.as_double()) && std::isnan(b.as_double()));
  if (!a.is_table() || !b.is_table()) return a.value_ == b.value_;
  if (a.as_table().size() != b.as_table().size()) return false;
  const auto by_name = [](const Toml& table) {
    std::vector<const Toml::Member*> out;
    out.reserve(table.as_table().size());
    for (const Toml::Member& member : table.as_table()) out.push_back(&member);
    std::stable_sort(out.begin(), out.end(),
                     [](const auto* x, const auto* y) { return x->first < y->first; });
    return out;
  };
  const auto left = by_name(a);
  const auto right = by_name(b);
  return std::equal(left.begin(), left.end(), right.begin(), [](const auto* x, const auto* y) {
    return x->first == y->first && x->second == y->second;
  });
}

}  // namespace locald
