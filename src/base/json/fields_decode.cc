// How Fields are read, and what is said of what is wrong.
#include <algorithm>
#include <optional>

#include "base/json/fields.h"
#include "base/strings.h"

namespace locald {
namespace {

using fields::Type;
using fields::words_text;
using Kind = Type::Kind;

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
    const std::size_t first = found_.size();
    TRY(find_members(table, json.as_object()));
    for (std::size_t i = 0; i < table.all().size(); ++i) {
      const Field& field = table.all()[i];
      const Json* value = found_[first + i];
      if (value != nullptr && reading_ == Reading::tolerant && value->is_null() &&
          field.type->kind != Kind::json)
        value = nullptr;
      const Step step(*this, field.name);
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
    found_.resize(first);
    return {};
  }

 private:
  /// Part of the place for as long as it lives; becomes text where there is an error to tell.
  class Step {
   public:
    Step(DocumentReader& reader, std::string_view name)
        : reader_(reader), outer_(reader.step_), name_(name) {
      reader.step_ = this;
    }
    Step(DocumentReader& reader, std::size_t index) : Step(reader, std::string_view()) {
      index_ = index;
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { reader_.step_ = outer_; }

    std::string place() const {
      const std::string before = outer_ != nullptr ? outer_->place() : "";
      if (index_) return before + "[" + std::to_string(*index_) + "]";
      return before + (outer_ != nullptr ? "." : "") + to_utf8(name_);
    }

   private:
    DocumentReader& reader_;
    const Step* outer_;
    std::string_view name_;
    std::optional<std::size_t> index_;
  };

  /// Appends to `found_` the value of each of the table's fields, or null; the last of several of
  /// one name, as everywhere.
  Result<void> find_members(const Fields& table, const Json::Object& members) {
    const std::vector<Field>& fields = table.all();
    const std::size_t first = found_.size();
    found_.resize(first + fields.size());
    std::size_t next = 0;  // encode() writes them in the order of the table
    for (const auto& [name, value] : members) {
      std::size_t left = fields.size();
      while (left > 0 && fields[next].name != name) {
        next = next + 1 == fields.size() ? 0 : next + 1;
        --left;
      }
      if (left > 0)
        found_[first + next] = &value;
      else if (reading_ == Reading::strict)
        return unknown(table, name);
    }
    return {};
  }

  Error wrong(const std::string& problem) const {
    const std::string place = step_ != nullptr ? step_->place() : "";
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
      const Step step(*this, index++);
      TRY(value(*type.item, item, type.add(out, {})));
    }
    return {};
  }

  Result<void> map(const Type& type, const Json& json, void* out) {
    if (!json.is_object()) return mistyped(type, json);
    type.clear(out);
    for (const auto& [key, item] : json.as_object()) {
      const Step step(*this, key);
      TRY(value(*type.item, item, type.add(out, key)));
    }
    return {};
  }

  const Fields& table_;
  const Reading reading_;
  const Step* step_ = nullptr;      // the innermost
  std::vector<const Json*> found_;  // of the objects that are being read
};

}  // namespace

Result<void> Fields::decode(const Json& json, void* object, Reading reading) const {
  return DocumentReader(*this, reading).object(*this, json, object);
}

}  // namespace locald
