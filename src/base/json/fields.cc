#include "base/json/fields.h"

#include <algorithm>

namespace locald {
namespace fields {

constinit const Type kBool{.kind = Type::Kind::boolean};
constinit const Type kDouble{.kind = Type::Kind::real};
constinit const Type kString{.kind = Type::Kind::text};
constinit const Type kJson{.kind = Type::Kind::json};

std::string words_text(const Type& type) {
  std::string out;
  for (std::int64_t i = 0; i <= type.max; ++i)
    out += (i == 0 ? "" : i == type.max ? " or " : ", ") + std::string(type.words[i]);
  return out;
}

}  // namespace fields

namespace {

using fields::Type;
using fields::words_text;
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

/// Writes a struct's text as it goes along.
class TextWriter {
 public:
  explicit TextWriter(std::string& out) : out_(out) {}

  void object(const Fields& table, const void* at) {
    out_ += '{';
    for (const Field& field : table.all()) {
      const std::size_t before = out_.size();
      separate();
      out_ += field.key;
      const std::size_t start = out_.size();
      value(*field.type, static_cast<const char*>(at) + field.offset);
      if (field.presence == Field::Presence::usual &&
          std::string_view(out_).substr(start) == field.fallback_text)
        out_.resize(before);
    }
    out_ += '}';
  }

  void value(const Type& type, const void* at) {
    switch (type.kind) {
      case Kind::boolean:
        return json_text::append_bool(out_, *static_cast<const bool*>(at));
      case Kind::integer:
        return json_text::append_integer(out_, type.get(at));
      case Kind::real:
        return json_text::append_real(out_, *static_cast<const double*>(at));
      case Kind::text:
        return json_text::append_string(out_, *static_cast<const std::string*>(at));
      case Kind::json:
        return json_text::append_json(out_, *static_cast<const Json*>(at));
      case Kind::words:
        return json_text::append_string(
            out_, type.words[std::clamp<std::int64_t>(type.get(at), 0, type.max)]);
      case Kind::object:
        return object(type.object(), at);
      case Kind::optional:
      case Kind::list:
      case Kind::map:
        return items(type, at);
    }
  }

 private:
  struct Items {
    TextWriter& writer;
    const Type& type;  // of the whole
    bool any = false;

    static void add(void* context, const std::string& key, const void* item) {
      auto& self = *static_cast<Items*>(context);
      self.any = true;
      if (self.type.kind != Kind::optional) self.writer.separate();
      if (self.type.kind == Kind::map) {
        json_text::append_string(self.writer.out_, key);
        self.writer.out_ += ':';
      }
      self.writer.value(*self.type.item, item);
    }
  };

  void items(const Type& type, const void* at) {
    if (type.kind != Kind::optional) out_ += type.kind == Kind::list ? '[' : '{';
    Items written{*this, type};
    type.each(at, &written, Items::add);
    if (type.kind != Kind::optional)
      out_ += type.kind == Kind::list ? ']' : '}';
    else if (!written.any)
      out_ += "null";
  }

  /// A comma, but for the first: behind a bracket. (A string that ends with one has its quote.)
  void separate() {
    if (out_.back() != '{' && out_.back() != '[') out_ += ',';
  }

  std::string& out_;
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

void Fields::write(std::string& out, const void* object) const {
  TextWriter(out).object(*this, object);
}

void Fields::add(const char* name, const fields::Type* type, const void* object, const void* member,
                 const char* doc, Field::Presence presence, bool absolute) {
  Field field;
  field.name = name;
  field.doc = doc;
  json_text::append_string(field.key, name);
  field.key += ':';
  field.type = type;
  field.offset =
      static_cast<std::size_t>(static_cast<const char*>(member) - static_cast<const char*>(object));
  field.presence = presence;
  field.absolute = absolute;
  add(std::move(field), member);
}

void Fields::add(Field field, const void* member) {
  field.fallback = write_field(*field.type, member);
  field.fallback_text = field.fallback.dump();
  all_.push_back(std::move(field));
}

void Fields::add_flat(const Fields& other, const void* object, const void* member) {
  const auto base =
      static_cast<std::size_t>(static_cast<const char*>(member) - static_cast<const char*>(object));
  for (Field field : other.all()) {
    const void* at = static_cast<const char*>(member) + field.offset;
    field.offset += base;
    add(std::move(field), at);
  }
}

}  // namespace locald
