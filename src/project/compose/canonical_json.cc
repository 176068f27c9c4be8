#include "project/compose/canonical_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "project/compose/shape.h"

namespace locald::project::compose {
namespace {

bool says_nothing(const Json& value) {
  return value.is_null() || (value.is_string() && value.as_string().empty()) ||
         (value.is_bool() && !value.as_bool()) || (value.is_number() && value.as_double() == 0) ||
         (value.is_array() && value.as_array().empty()) ||
         (value.is_object() && value.as_object().empty());
}

Json plain(const Node& value) {
  auto json = value.to_json();
  return json ? std::move(*json) : Json();
}

Json host_list(const Node& hosts) {
  std::vector<std::string> list;
  for (const auto& [host, addresses] : hosts.as_table())
    for (const Node& address : addresses.as_array())
      list.push_back(fmt::format("{}={}", host, address.as_string()));
  std::sort(list.begin(), list.end());
  return Json(list);
}

Json key_list(const Node& keys) {
  Json list = Json::array();
  for (const auto& [id, path] : keys.as_table())
    list.push(path.is_nothing() ? Json(id) : Json(fmt::format("{}={}", id, path.as_string())));
  return list;
}

Json json_of(const Node& value, const Shape& shape);

Json table_json(const Node& value, const Shape& shape) {
  Json out = Json::object();
  for (const Key& key : shape) {
    const bool there = value.contains(key.name);
    Json member = json_of(value[key.name], *key.shape);
    const Node& raw = value[key.name];
    bool written = false;
    switch (key.rule) {
      case Rule::if_set:
        written = there && !says_nothing(member) &&
                  !(key.shape->as == As::bytes && raw.as_string() == "0");
        break;
      case Rule::if_there:
        written = there && !raw.is_nothing();
        break;
      case Rule::always:
        written = true;
        break;
      case Rule::if_false:
        written = raw.is_bool() && !raw.as_bool();
        break;
    }
    if (written) out.set(std::string(key.name), std::move(member));
  }
  return out;
}

/// What stands where a member says nothing but is always written.
Json nothing(const Shape& shape) {
  if (shape.as == As::flag) return false;
  if (shape.as == As::text) return "";
  if (shape.as == As::whole) return 0;
  if (shape.key_count != 0) return table_json(Node(), shape);
  if ((shape.kinds & kMap) != 0) return Json::object();
  return {};
}

Json json_of(const Node& value, const Shape& shape) {
  if (value.is_nothing()) return (shape.kinds & kNull) != 0 ? Json() : nothing(shape);
  if (shape.as == As::hosts) return host_list(value);
  if (shape.as == As::keys) return key_list(value);
  if (shape.as == As::mode) return fmt::format("0{:o}", value.as_int());
  if (shape.as != As::tree && shape.as != As::limit) return plain(value);
  if (value.is_table()) {
    if (shape.key_count != 0) return table_json(value, shape);
    Json out = Json::object();
    for (const auto& [name, member] : value.as_table())
      out.set(name, shape.values == nullptr ? plain(member) : json_of(member, *shape.values));
    return out;
  }
  if (value.is_array() && shape.items != nullptr) {
    Json out = Json::array();
    for (const Node& item : value.as_array()) out.push(json_of(item, *shape.items));
    return out;
  }
  return plain(value);
}

}  // namespace

Json canonical_json(const Node& model) { return json_of(model, kProjectShape); }

}  // namespace locald::project::compose
