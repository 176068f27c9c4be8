#include "base/json/fields.h"

#include <algorithm>

#include "base/strings.h"

namespace locald {
namespace fields {

constinit const Type kBool{.kind = Type::Kind::boolean};
constinit const Type kDouble{.kind = Type::Kind::real};
constinit const Type kString{.kind = Type::Kind::text};
constinit const Type kJson{.kind = Type::Kind::json};

}  // namespace fields

namespace {

using fields::Type;
using Kind = Type::Kind;

Json write_field(const Type& type, const void* at);

struct ItemsWriter {
  const Type& type;  // of an item
  Json::Array list = {};
  Json::Object map = {};

  static void add_to_list(void* context, const std::string&, const void* item) {
    auto& out = *static_cast<ItemsWriter*>(context);
    out.list.push_back(write_field(out.type, item));
  }
  static void add_to_map(void* context, const std::string& key, const void* item) {
    auto& out = *static_cast<ItemsWriter*>(context);
    out.map.emplace_back(key, write_field(out.type, item));
  }
};

Json write_field(const Type& type, const void* at) {
  switch (type.kind) {
    case Kind::boolean:
      return *static_cast<const bool*>(at);
    case Kind::integer:
      return type.get(at);
    case Kind::real:
      return *static_cast<const double*>(at);
    case Kind::text:
      return *static_cast<const std::string*>(at);
    case Kind::json:
      return *static_cast<const Json*>(at);
    case Kind::words:
      return type.words[std::clamp<std::int64_t>(type.get(at), 0, type.max)];
    case Kind::object:
      return type.object().encode(at);
    case Kind::optional:
    case Kind::list:
    case Kind::map:
      break;
  }
  ItemsWriter items{*type.item};
  type.each(at, &items,
            type.kind == Kind::map ? ItemsWriter::add_to_map : ItemsWriter::add_to_list);
  if (type.kind == Kind::map) return Json(std::move(items.map));
  if (type.kind == Kind::list) return Json(std::move(items.list));
  return items.list.empty() ? Json() : std::move(items.list.front());
}

std::string words_text(const Type& type) {
  std::string out;
  for (std::int64_t i = 0; i <= type.max; ++i)
    out += (i == 0 ? "" : i == type.max ? " or " : ", ") + std::string(type.words[i]);
  return out;
}

/// As in "must be a string".
std::string wanted_text(const Type& type) {
  switch (type.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "an integer";
    case Kind::real:
      return "a number";
    case Kind::text:
      return "a string";
    case Kind::words:
      return words_text(type);
    case Kind::json:
      return "a value";
    case Kind::list:
      return "a list";
    case Kind::object:
    case Kind::map:
      return "an object";
    case Kind::optional:
      return wanted_text(*type.item);
  }
  return {};
}

std::string found_text(const Json& json) {
  if (json.is_null()) return "null";
  if (json.is_bool()) return json.as_bool() ? "true" : "false";
  if (json.is_number()) return "a number";
  if (json.is_string()) return "a string";
  return json.is_array() ? "a list" : "an object";
}

/// Reads one document; knows where in it is being read.
class DocumentReader {
 public:
  DocumentReader(const Fields& table, Reading reading) : table_(table), reading_(reading) {}

  Result<void> object(const Fields& table, const Json& json, void* out) {
    if (!json.is_object()) return wrong("must be an object, it is " + found_text(json));
    for (const auto& [name, value] : json.as_object())
      if (reading_ == Reading::strict && table.find(name) == nullptr) return unknown(table, name);
    for (const Field& field : table.all()) {
      // The last of several of one name, as everywhere.
      const Json* value = nullptr;
      for (const auto& [name, candidate] : json.as_object())
        if (name == field.name) value = &candidate;
      if (value != nullptr && reading_ == Reading::tolerant && value->is_null() &&
          field.type->kind != Kind::json)
        value = nullptr;
      const Step step(*this, "." + field.name);
      if (value == nullptr) {
        if (field.presence == Field::Presence::required) return wrong("missing");
        continue;
      }
      void* member = static_cast<char*>(out) + field.offset;
      TRY(this->value(*field.type, *value, member));
      const bool may_be_empty = field.presence != Field::Presence::required;
      if (field.absolute && value->is_string() && !value->as_string().starts_with('/') &&
          !(may_be_empty && value->as_string().empty()))
        return wrong("must be an absolute path, it is \"" + value->as_string() + "\"");
    }
    return {};
  }

 private:
  /// Part of the place for as long as it lives.
  class Step {
   public:
    Step(DocumentReader& reader, const std::string& text)
        : reader_(reader), before_(reader.place_.size()) {
      reader.place_ += text;
    }
    ~Step() { reader_.place_.resize(before_); }

   private:
    DocumentReader& reader_;
    std::size_t before_;
  };

  Error wrong(const std::string& problem) const {
    // The first step begins with a point.
    const std::string place = place_.starts_with('.') ? place_.substr(1) : place_;
    return Error(Errc::invalid_input,
                 table_.what() + ": " + (place.empty() ? "" : place + ": ") + problem);
  }

  Error unknown(const Fields& table, const std::string& name) const {
    std::vector<std::string> known;
    for (const Field& field : table.all()) known.push_back(field.name);
    const auto near = did_you_mean(name, known);
    return wrong("unknown field \"" + to_utf8(name) + "\"")
        .with_hint(near            ? "did you mean \"" + *near + "\"?"
                   : known.empty() ? "it has no fields"
                                   : "its fields are: " + join(known, ", "));
  }

  Error mistyped(const Type& type, const Json& json) const {
    return wrong("must be " + wanted_text(type) + ", it is " + found_text(json));
  }

  Result<void> integer(const Type& type, const Json& json, void* out) const {
    if (!json.is_int())
      return json.is_number() ? wrong("must be an integer of at most 64 bits")
                              : mistyped(type, json);
    const std::int64_t value = json.as_int();
    if (value < type.min || value > type.max)
      return wrong("must be between " + std::to_string(type.min) + " and " +
                   std::to_string(type.max) + ", it is " + std::to_string(value));
    type.put(out, value);
    return {};
  }

  Result<void> word(const Type& type, const Json& json, void* out) const {
    if (!json.is_string()) return mistyped(type, json);
    const auto* const end = type.words + type.max + 1;
    const auto* const at = std::find(type.words, end, json.as_string());
    if (at != end) return type.put(out, at - type.words), Result<void>();
    const auto near = did_you_mean(json.as_string(), {type.words, end});
    return wrong("must be " + words_text(type) + ", it is \"" + to_utf8(json.as_string()) + "\"")
        .with_hint(near ? "did you mean \"" + *near + "\"?" : "");
  }

  Result<void> value(const Type& type, const Json& json, void* out) {
    switch (type.kind) {
      case Kind::boolean:
        if (!json.is_bool()) return mistyped(type, json);
        *static_cast<bool*>(out) = json.as_bool();
        return {};
      case Kind::real:
        if (!json.is_number()) return mistyped(type, json);
        *static_cast<double*>(out) = json.as_double();
        return {};
      case Kind::text:
        if (!json.is_string()) return mistyped(type, json);
        *static_cast<std::string*>(out) = json.as_string();
        return {};
      case Kind::json:
        *static_cast<Json*>(out) = json;
        return {};
      case Kind::integer:
        return integer(type, json, out);
      case Kind::words:
        return word(type, json, out);
      case Kind::object:
        return object(type.object(), json, out);
      case Kind::optional:
        type.clear(out);
        return json.is_null() ? Result<void>() : value(*type.item, json, type.add(out, {}));
      case Kind::list:
        return list(type, json, out);
      case Kind::map:
        return map(type, json, out);
    }
    return {};
  }

  Result<void> list(const Type& type, const Json& json, void* out) {
    if (!json.is_array()) return mistyped(type, json);
    type.clear(out);
    std::size_t index = 0;
    for (const Json& item : json.as_array()) {
      const Step step(*this, "[" + std::to_string(index++) + "]");
      TRY(value(*type.item, item, type.add(out, {})));
    }
    return {};
  }

  Result<void> map(const Type& type, const Json& json, void* out) {
    if (!json.is_object()) return mistyped(type, json);
    type.clear(out);
    for (const auto& [key, item] : json.as_object()) {
      const Step step(*this, "." + to_utf8(key));
      TRY(value(*type.item, item, type.add(out, key)));
    }
    return {};
  }

  const Fields& table_;
  const Reading reading_;
  std::string place_;
};

std::string plural(const Type& type) {
  switch (type.kind) {
    case Kind::boolean:
      return "booleans";
    case Kind::integer:
      return "integers";
    case Kind::real:
      return "numbers";
    case Kind::text:
      return "strings";
    case Kind::json:
      return "values";
    case Kind::object:
      return "objects: " + type.object().what();
    case Kind::optional:
      return plural(*type.item) + " or null";
    case Kind::list:
      return "lists of " + plural(*type.item);
    case Kind::map:
      return "maps of " + plural(*type.item);
    case Kind::words:
      return words_text(type);
  }
  return {};
}

std::string described(const Type& type) {
  switch (type.kind) {
    case Kind::boolean:
      return "boolean";
    case Kind::integer:
      return "integer";
    case Kind::real:
      return "number";
    case Kind::text:
      return "string";
    case Kind::json:
      return "value";
    case Kind::words:
      return words_text(type);
    case Kind::object:
      return type.object().what();
    case Kind::optional:
      return described(*type.item) + " or null";
    case Kind::list:
      return "list of " + plural(*type.item);
    case Kind::map:
      return "map of " + plural(*type.item);
  }
  return {};
}

}  // namespace

std::string Field::type_name() const { return described(*type); }

const Field* Fields::find(std::string_view name) const noexcept {
  for (const Field& field : all_)
    if (field.name == name) return &field;
  return nullptr;
}

Json Fields::encode(const void* object) const {
  Json::Object out;
  for (const Field& field : all_) {
    Json value = write_field(*field.type, static_cast<const char*>(object) + field.offset);
    if (field.presence == Field::Presence::usual && value == field.fallback) continue;
    out.emplace_back(field.name, std::move(value));
  }
  return Json(std::move(out));
}

Result<void> Fields::decode(const Json& json, void* object, Reading reading) const {
  return DocumentReader(*this, reading).object(*this, json, object);
}

void Fields::add(const char* name, const fields::Type* type, const void* object, const void* member,
                 const char* doc, Field::Presence presence, bool absolute) {
  all_.push_back({name, doc, type,
                  static_cast<std::size_t>(static_cast<const char*>(member) -
                                           static_cast<const char*>(object)),
                  presence, absolute, write_field(*type, member)});
}

void Fields::add_flat(const Fields& other, const void* object, const void* member) {
  const auto base =
      static_cast<std::size_t>(static_cast<const char*>(member) - static_cast<const char*>(object));
  for (const Field& field : other.all()) {
    all_.push_back(field);
    all_.back().offset += base;
    all_.back().fallback =
        write_field(*field.type, static_cast<const char*>(member) + field.offset);
  }
}

}  // namespace locald
