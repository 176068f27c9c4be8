#include "project/reference/key_schema.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/node/toml.h"
#include "project/toml/toml_front.h"

namespace locald::project {
namespace {

Json schema_of(const Shape& shape);

Json strings(const std::vector<std::string_view>& words) {
  Json out = Json::array();
  for (const std::string_view word : words) out.push(word);
  return out;
}

/// Of one key, with what editors show.
Json schema_of(const Field& field) {
  Json out = schema_of(field.shape);
  std::string text(field.text.text);
  if (!field.text.otherwise.empty())
    text += "\n\nDefault: " + std::string(field.text.otherwise) + ".";
  out.set("description", text);
  if (auto fallback = Json::parse(field.text.fallback); fallback)
    out.set("default", std::move(*fallback));
  if (auto example = parse_toml(field.text.example, ""); example && example->contains(field.name))
    if (auto value = (*example)[field.name].to_json(); value)
      out.set("examples", Json::array({std::move(*value)}));
  return out;
}

Json table_schema(const KeyFields& fields) {
  Json properties = Json::object();
  for (const Field& field : fields) properties.set(std::string(field.name), schema_of(field));
  return Json::object(
      {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}});
}

/// What a table must have.
void add_demands(Json& schema, const Shape& table) {
  if (!table.required.empty()) schema.set("required", strings(table.required));
  if (table.one_of.empty()) return;
  Json ways = Json::array();
  for (const std::string_view key : table.one_of)
    ways.push(Json::object({{"required", strings({key})}}));
  schema.set("oneOf", std::move(ways));
}

/// That a table without `type` has the key by which it is `table`: the first one needs none.
Json implied(const Shape& table, const std::vector<const Shape*>& tables) {
  if (!table.implied_by.empty()) return Json::object({{"required", strings({table.implied_by})}});
  if (&table != tables.front()) return Json(false);
  Json others = Json::array();
  for (const Shape* other : tables)
    if (!other->implied_by.empty())
      others.push(Json::object({{"required", strings({other->implied_by})}}));
  return Json::object({{"not", Json::object({{"anyOf", std::move(others)}})}});
}

/// That a table is `table`: by its `type`, or without one.
Json chosen(const Shape& table, const std::vector<const Shape*>& tables) {
  return Json::object(
      {{"if", Json::object({{"required", strings({"type"})}})},
       {"then",
        Json::object(
            {{"properties", Json::object({{"type", Json::object({{"const", table.called}})}})}})},
       {"else", implied(table, tables)}});
}

/// Of tables among which `type` decides: all keys of all of them, then which of them each may have,
/// so that editors complete, and name what is wrong.
Json schema_of_types(const std::vector<const Shape*>& tables) {
  KeyFields all;
  Json rules = Json::array();
  for (const Shape* table : tables) {
    std::vector<std::string_view> names;
    for (Field& field : table->fields()) {
      names.push_back(field.name);
      if (std::none_of(all.begin(), all.end(),
                       [&](const Field& f) { return f.name == field.name; }))
        all.push_back(std::move(field));
    }
    Json then = Json::object({{"propertyNames", Json::object({{"enum", strings(names)}})}});
    add_demands(then, *table);
    rules.push(Json::object({{"if", chosen(*table, tables)}, {"then", std::move(then)}}));
  }
  Json out = table_schema(all);
  out.set("allOf", std::move(rules));
  return out;
}

Json whole(const Shape& shape) {
  Json out = Json::object({{"type", "integer"}});
  if (shape.low != INT64_MIN) out.set("minimum", shape.low);
  if (shape.high != INT64_MAX) out.set("maximum", shape.high);
  return out;
}

Json either(const Shape& shape) {
  const auto& parts = shape.parts;
  if (std::all_of(parts.begin(), parts.end(),
                  [](const Shape* part) { return part->kind == Shape::Kind::table; }))
    return schema_of_types(parts);
  Json ways = Json::array();
  for (const Shape* part : parts) ways.push(schema_of(*part));
  return Json::object({{"anyOf", std::move(ways)}});
}

Json schema_of(const Shape& shape) {
  switch (shape.kind) {
    case Shape::Kind::text: {
      Json out = Json::object({{"type", "string"}});
      if (!shape.pattern.empty()) out.set("pattern", shape.pattern);
      return out;
    }
    case Shape::Kind::whole:
      return whole(shape);
    case Shape::Kind::number:
      return Json::object({{"type", "number"}, {"exclusiveMinimum", 0}});
    case Shape::Kind::boolean:
      return shape.low == 1 ? Json::object({{"const", true}}) : Json::object({{"type", "boolean"}});
    case Shape::Kind::words:
      return Json::object({{"enum", strings(shape.words)}});
    case Shape::Kind::list: {
      Json out = Json::object({{"type", "array"}, {"items", schema_of(*shape.parts.front())}});
      if (shape.not_empty) out.set("minItems", 1);
      return out;
    }
    case Shape::Kind::names: {
      Json out = Json::object(
          {{"type", "object"}, {"additionalProperties", schema_of(*shape.parts.front())}});
      if (!shape.pattern.empty())
        out.set("propertyNames", Json::object({{"pattern", shape.pattern}}));
      if (shape.not_empty) out.set("minProperties", 1);
      return out;
    }
    case Shape::Kind::table: {
      Json out = table_schema(shape.fields());
      add_demands(out, shape);
      return out;
    }
    case Shape::Kind::either:
      break;
  }
  return either(shape);
}

}  // namespace

Json key_schema() {
  Json out = Json::object({{"$schema", "http://json-schema.org/draft-07/schema#"},
                           {"title", "locald.toml"},
                           {"description", "A project of locald: its services and networks."}});
  const Json file = table_schema(looked_at<ProjectSpec, file_fields>());
  for (const auto& [name, value] : file.as_object()) out.set(name, value);
  out.set("required", Json::array({"services"}));
  return out;
}

}  // namespace locald::project
