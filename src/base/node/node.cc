#include "base/node/node.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace locald {
namespace {

const Node kNothing;
const std::string kNoText;
const Node::Array kNoItems;
const Node::Table kNoMembers;

}  // namespace

Node::Node(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}

std::string_view Node::kind() const noexcept {
  static constexpr std::string_view kNames[] = {"nothing",  "true or false", "a number", "a number",
                                                "a string", "a date-time",   "an array", "a table"};
  return kNames[value_.index()];
}

void Node::place_in(std::shared_ptr<const std::string> file, SourcePos at) {
  file_ = std::move(file);
  at_ = at;
}

const std::string& Node::file() const noexcept { return file_ ? *file_ : kNoText; }

Error Node::error(std::string_view message) const {
  return {Errc::invalid_input, place(file(), at_).append(message)};
}

const std::string& Node::as_string() const noexcept {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr ? *text : kNoText;
}

std::int64_t Node::as_int(std::int64_t fallback) const noexcept {
  const auto* number = std::get_if<std::int64_t>(&value_);
  return number != nullptr ? *number : fallback;
}

double Node::as_double(double fallback) const noexcept {
  if (const auto* number = std::get_if<double>(&value_)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*number);
  return fallback;
}

bool Node::as_bool(bool fallback) const noexcept {
  const auto* flag = std::get_if<bool>(&value_);
  return flag != nullptr ? *flag : fallback;
}

const std::string& Node::as_date_time() const noexcept {
  const auto* value = std::get_if<DateTime>(&value_);
  return value != nullptr ? value->text : kNoText;
}

const Node::Array& Node::as_array() const noexcept {
  const auto* items = std::get_if<Array>(&value_);
  return items != nullptr ? *items : kNoItems;
}

const Node::Table& Node::as_table() const noexcept {
  const auto* members = std::get_if<Table>(&value_);
  return members != nullptr ? *members : kNoMembers;
}

std::vector<std::string> Node::as_strings() const {
  std::vector<std::string> out;
  for (const Node& item : as_array())
    if (item.is_string()) out.push_back(item.as_string());
  return out;
}

const Node& Node::operator[](std::string_view key) const noexcept {
  for (const auto& [name, value] : as_table())
    if (name == key) return value;
  return kNothing;
}

bool Node::contains(std::string_view key) const noexcept {
  const Table& members = as_table();
  return std::any_of(members.begin(), members.end(),
                     [&](const Member& member) { return member.first == key; });
}

namespace {

Error wrong_type(const Node& owner, std::string_view key, const char* wanted) {
  const std::string name = "`" + std::string(key) + "`";
  const Node& member = owner[key];
  if (member.is_nothing()) return owner.error(name + " is missing (it must be " + wanted + ")");
  return member.error(name + " must be " + wanted + ", not " + std::string(member.kind()));
}

}  // namespace

Result<std::string> Node::get_string(std::string_view key) const {
  const Node& member = (*this)[key];
  if (!member.is_string()) return wrong_type(*this, key, "a string");
  return member.as_string();
}

Result<std::int64_t> Node::get_int(std::string_view key) const {
  const Node& member = (*this)[key];
  if (!member.is_int()) return wrong_type(*this, key, "a whole number");
  return member.as_int();
}

Result<bool> Node::get_bool(std::string_view key) const {
  const Node& member = (*this)[key];
  if (!member.is_bool()) return wrong_type(*this, key, "true or false");
  return member.as_bool();
}

Result<std::string> Node::get_string_or(std::string_view key, std::string fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_string(key);
}

Result<std::int64_t> Node::get_int_or(std::string_view key, std::int64_t fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_int(key);
}

Result<bool> Node::get_bool_or(std::string_view key, bool fallback) const {
  if ((*this)[key].is_nothing()) return fallback;
  return get_bool(key);
}

Result<std::vector<std::string>> Node::get_strings(std::string_view key) const {
  const Node& member = (*this)[key];
  if (member.is_nothing()) return std::vector<std::string>();
  if (!member.is_array()) return wrong_type(*this, key, "an array of strings");
  std::vector<std::string> out;
  for (const Node& item : member.as_array()) {
    if (!item.is_string())
      return item.error("`" + std::string(key) + "` must be an array of strings, but holds " +
                        std::string(item.kind()));
    out.push_back(item.as_string());
  }
  return out;
}

Result<std::vector<const Node*>> Node::get_tables(std::string_view key) const {
  const Node& member = (*this)[key];
  if (member.is_nothing()) return std::vector<const Node*>();
  if (!member.is_array()) return wrong_type(*this, key, "an array of tables");
  std::vector<const Node*> out;
  for (const Node& item : member.as_array()) {
    if (!item.is_table())
      return item.error("`" + std::string(key) + "` must be an array of tables, but holds " +
                        std::string(item.kind()));
    out.push_back(&item);
  }
  return out;
}

Node& Node::set(std::string key, Node value) {
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

Node& Node::push(Node value) {
  if (is_nothing()) value_ = Array();
  std::get<Array>(value_).push_back(std::move(value));
  return *this;
}

bool Node::erase(std::string_view key) {
  auto* members = std::get_if<Table>(&value_);
  return members != nullptr &&
         std::erase_if(*members, [&](const Member& member) { return member.first == key; }) != 0;
}

Node* Node::find(std::string_view key) noexcept {
  if (auto* members = std::get_if<Table>(&value_))
    for (auto& [name, value] : *members)
      if (name == key) return &value;
  return nullptr;
}

Node::Table* Node::members() noexcept { return std::get_if<Table>(&value_); }
Node::Array* Node::items() noexcept { return std::get_if<Array>(&value_); }

void Node::place_as(const Node& other) {
  file_ = other.file_;
  at_ = other.at_;
  key_at_ = other.key_at_;
}

void Node::sort_members() {
  if (auto* items = std::get_if<Array>(&value_)) {
    for (Node& item : *items) item.sort_members();
  } else if (auto* members = std::get_if<Table>(&value_)) {
    for (auto& [name, value] : *members) value.sort_members();
    std::stable_sort(members->begin(), members->end(),
                     [](const Member& a, const Member& b) { return a.first < b.first; });
  }
}

void Node::make_floats() {
  if (const auto* number = std::get_if<std::int64_t>(&value_)) {
    value_ = static_cast<double>(*number);
  } else if (auto* items = std::get_if<Array>(&value_)) {
    for (Node& item : *items) item.make_floats();
  } else if (auto* members = std::get_if<Table>(&value_)) {
    for (auto& [name, value] : *members) value.make_floats();
  }
}

Node Node::sorted() const {
  Node out = *this;
  out.sort_members();
  return out;
}

Node Node::as_json_numbers() const {
  Node out = *this;
  out.make_floats();
  return out;
}

Result<Json> Node::to_json() const {
  if (is_table()) {
    Json::Object members;
    members.reserve(as_table().size());
    for (const auto& [name, value] : as_table()) members.emplace_back(name, TRY(value.to_json()));
    return Json(std::move(members));
  }
  if (is_array()) {
    Json::Array items;
    items.reserve(as_array().size());
    for (const Node& item : as_array()) items.push_back(TRY(item.to_json()));
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

Node Node::from_json(const Json& json) {
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
    return Node(std::move(members));
  }
  if (json.is_array()) {
    Array items;
    items.reserve(json.as_array().size());
    for (const Json& item : json.as_array()) items.push_back(from_json(item));
    return Node(std::move(items));
  }
  if (json.is_string()) return Node(json.as_string());
  if (json.is_bool()) return Node(json.as_bool());
  if (json.is_int()) return Node(json.as_int());
  if (json.is_number()) return Node(json.as_double());
  return {};
}

bool operator==(const Node& a, const Node& b) {
  if (a.is_float() && b.is_float())
    return a.as_double() == b.as_double() ||
           (std::isnan(a.as_double()) && std::isnan(b.as_double()));
  if (!a.is_table() || !b.is_table()) return a.value_ == b.value_;
  if (a.as_table().size() != b.as_table().size()) return false;
  const auto by_name = [](const Node& table) {
    std::vector<const Node::Member*> out;
    out.reserve(table.as_table().size());
    for (const Node::Member& member : table.as_table()) out.push_back(&member);
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
