#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/json/json_text.h"
#include "base/result.h"

/// A struct names its members once; writing it as JSON, reading it and describing it follow.
///
///     struct Down {
///       std::string project;
///       bool volumes = false;
///       static const Fields& fields() {
///         static const Fields table = FieldsOf<Down>("request down")
///             .required("project", &Down::project, "its name")
///             .field("volumes", &Down::volumes, "its volumes are removed too");
///         return table;
///       }
///     };
///     encode_text(Down{"shop"}).str();      // {"project":"shop"}
///     encode(Down{"shop"});                 // the same as a Json
///     decode<Down>(json);                   // "request down: volumes: must be true or false, it is
///                                           //  a string"
///
/// A member is a bool, an integer, a double, a string, milliseconds, an enumeration (EnumWords,
/// EnumNumbers), a Json as it comes, another such struct, or an optional, vector or map by name of
/// these. The templates here only say how a member is reached; the work is done in fields.cc.
namespace locald {

class Fields;

/// How a document is read.
enum class Reading : std::uint8_t {
  strict,    ///< an unknown field is an error: of a program of the same build, or of a person
  tolerant,  ///< unknown fields are passed over, null counts as absent: of another build, of a disk
};

/// The words of an enumeration, in the order of its values from 0 on. Specialise with
/// `static constexpr std::array<std::string_view, N> kWords`.
template <class E>
struct EnumWords;
/// An enumeration that is written as a number from 0 to `kLast`. Specialise with
/// `static constexpr int kLast`.
template <class E>
struct EnumNumbers;

namespace fields {

/// How values of one type are reached without naming it. Of static life.
struct Type {
  enum class Kind : std::uint8_t {
    boolean,
    integer,
    real,
    text,
    words,
    json,
    object,
    optional,
    list,
    map
  };
  Kind kind = Kind::json;
  // integer, words: the number of a word
  std::int64_t (*get)(const void*) = nullptr;
  void (*put)(void*, std::int64_t) = nullptr;
  std::int64_t min = 0, max = 0;
  const std::string_view* words = nullptr;  ///< `max` + 1 of them
  // object
  const Fields& (*object)() = nullptr;
  // optional, list, map
  const Type* item = nullptr;
  /// Calls `visit` for each item; the key is that of a map.
  void (*each)(const void*, void* context,
               void (*visit)(void* context, const std::string& key, const void* item)) = nullptr;
  void (*clear)(void*) = nullptr;
  /// A new item, to be written; of a map the one of `key`.
  void* (*add)(void*, const std::string& key) = nullptr;
};

extern const Type kBool, kDouble, kString, kJson;

/// "always, missing or never".
std::string words_text(const Type& type);

template <class T, class As>
std::int64_t get_number(const void* at) {
  return static_cast<std::int64_t>(static_cast<As>(*static_cast<const T*>(at)));
}
template <class T>
void put_number(void* at, std::int64_t value) {
  *static_cast<T*>(at) = static_cast<T>(value);
}
template <class T>
constexpr std::int64_t largest() {
  return sizeof(T) < sizeof(std::int64_t) ? static_cast<std::int64_t>(std::numeric_limits<T>::max())
                                          : std::numeric_limits<std::int64_t>::max();
}

template <class T>
struct Of;

template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) struct Of<T> {
  static constexpr Type kType{.kind = Type::Kind::integer,
                              .get = get_number<T, T>,
                              .put = put_number<T>,
                              .min = static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                              .max = largest<T>()};
};
template <>
struct Of<std::chrono::milliseconds> {
  static std::int64_t get(const void* at) {
    return static_cast<const std::chrono::milliseconds*>(at)->count();
  }
  static void put(void* at, std::int64_t value) {
    *static_cast<std::chrono::milliseconds*>(at) = std::chrono::milliseconds(value);
  }
  static constexpr Type kType{.kind = Type::Kind::integer,
                              .get = get,
                              .put = put,
                              .min = std::numeric_limits<std::int64_t>::min(),
                              .max = std::numeric_limits<std::int64_t>::max()};
};
template <class E>
requires(std::is_enum_v<E>&& requires { EnumWords<E>::kWords; }) struct Of<E> {
  static constexpr Type kType{.kind = Type::Kind::words,
                              .get = get_number<E, std::int64_t>,
                              .put = put_number<E>,
                              .max = EnumWords<E>::kWords.size() - 1,
                              .words = EnumWords<E>::kWords.data()};
};
template <class E>
requires(std::is_enum_v<E>&& requires { EnumNumbers<E>::kLast; }) struct Of<E> {
  static constexpr Type kType{.kind = Type::Kind::integer,
                              .get = get_number<E, std::int64_t>,
                              .put = put_number<E>,
                              .max = EnumNumbers<E>::kLast};
};
template <class T>
requires requires { T::fields(); }
struct Of<T> {
  static constexpr Type kType{.kind = Type::Kind::object, .object = &T::fields};
};

template <class T>
constexpr const Type* type_of() {
  if constexpr (std::is_same_v<T, bool>)
    return &kBool;
  else if constexpr (std::is_same_v<T, double>)
    return &kDouble;
  else if constexpr (std::is_same_v<T, std::string>)
    return &kString;
  else if constexpr (std::is_same_v<T, Json>)
    return &kJson;
  else
    return &Of<T>::kType;
}

using Visit = void (*)(void* context, const std::string& key, const void* item);

template <class T>
struct Of<std::optional<T>> {
  static void each(const void* at, void* context, Visit visit) {
    const auto& value = *static_cast<const std::optional<T>*>(at);
    if (value) visit(context, {}, &*value);
  }
  static void clear(void* at) { static_cast<std::optional<T>*>(at)->reset(); }
  static void* add(void* at, const std::string&) {
    return &static_cast<std::optional<T>*>(at)->emplace();
  }
  static constexpr Type kType{
      .kind = Type::Kind::optional, .item = type_of<T>(), .each = each, .clear = clear, .add = add};
};
template <class T>
struct Of<std::vector<T>> {
  static void each(const void* at, void* context, Visit visit) {
    for (const T& item : *static_cast<const std::vector<T>*>(at)) visit(context, {}, &item);
  }
  static void clear(void* at) { static_cast<std::vector<T>*>(at)->clear(); }
  static void* add(void* at, const std::string&) {
    return &static_cast<std::vector<T>*>(at)->emplace_back();
  }
  static constexpr Type kType{
      .kind = Type::Kind::list, .item = type_of<T>(), .each = each, .clear = clear, .add = add};
};
template <class T>
struct Of<std::map<std::string, T>> {
  using Map = std::map<std::string, T>;
  static void each(const void* at, void* context, Visit visit) {
    for (const auto& [key, item] : *static_cast<const Map*>(at)) visit(context, key, &item);
  }
  static void clear(void* at) { static_cast<Map*>(at)->clear(); }
  static void* add(void* at, const std::string& key) { return &(*static_cast<Map*>(at))[key]; }
  static constexpr Type kType{
      .kind = Type::Kind::map, .item = type_of<T>(), .each = each, .clear = clear, .add = add};
};

}  // namespace fields

/// One member of a struct.
struct Field {
  enum class Presence : std::uint8_t {
    usual,     ///< may be missing; is not written at its default
    always,    ///< may be missing; is written
    required,  ///< may not be missing
  };
  std::string name, doc;
  std::string key;  ///< `"name":`, as it is written
  const fields::Type* type = nullptr;
  std::size_t offset = 0;  ///< in the struct
  Presence presence = Presence::usual;
  bool absolute = false;      ///< a path that starts with a slash, where it is given
  Json fallback;              ///< the default
  std::string fallback_text;  ///< as it is written

  /// "string", "list of integers", "map of strings", "always, missing or never"; objects by name.
  std::string type_name() const;
};

/// The members of one struct, in the order in which they are written.
class Fields {
 public:
  Fields(std::string what) : what_(std::move(what)) {}  // NOLINT

  const std::string& what() const noexcept { return what_; }  ///< begins messages: "request up"
  const std::vector<Field>& all() const noexcept { return all_; }
  const Field* find(std::string_view name) const noexcept;

  Json encode(const void* object) const;
  /// Appends the text of encode(), without a tree in between.
  void write(std::string& out, const void* object) const;
  /// @return Errc::invalid_input with the place: "request up: services[2]: must be a string, it is
  /// a number"; for an unknown field with the one that was likely meant. `object` is then of no use.
  Result<void> decode(const Json& json, void* object, Reading reading) const;

  // What FieldsOf builds it of.
  void add(const char* name, const fields::Type* type, const void* object, const void* member,
           const char* doc, Field::Presence presence, bool absolute = false);
  void add_flat(const Fields& other, const void* object, const void* member);

 private:
  void add(Field field, const void* member);

  std::string what_;
  std::vector<Field> all_;
};

/// Builds the table of `T`, whose default values are those of a `T{}`.
template <class T>
class FieldsOf {
 public:
  explicit FieldsOf(std::string what) : table_(std::move(what)) {}
  operator Fields() { return std::move(table_); }  // NOLINT

  template <class C, class M>
  FieldsOf& field(const char* name, M C::*member, const char* doc) {
    return add(name, member, doc, Field::Presence::usual);
  }
  template <class C, class M>
  FieldsOf& always(const char* name, M C::*member, const char* doc) {
    return add(name, member, doc, Field::Presence::always);
  }
  template <class C, class M>
  FieldsOf& required(const char* name, M C::*member, const char* doc) {
    return add(name, member, doc, Field::Presence::required);
  }
  /// An absolute path, or nothing.
  template <class C, class M>
  FieldsOf& path(const char* name, M C::*member, const char* doc) {
    return add(name, member, doc, Field::Presence::usual, true);
  }
  template <class C, class M>
  FieldsOf& required_path(const char* name, M C::*member, const char* doc) {
    return add(name, member, doc, Field::Presence::required, true);
  }
  /// The members of a member, beside those of `T`.
  template <class C, class M>
  FieldsOf& flat(M C::*member) {
    table_.add_flat(M::fields(), &prototype_, &(prototype_.*member));
    return *this;
  }

 private:
  template <class C, class M>
  FieldsOf& add(const char* name, M C::*member, const char* doc, Field::Presence presence,
                bool absolute = false) {
    table_.add(name, fields::type_of<M>(), &prototype_, &(prototype_.*member), doc, presence,
               absolute);
    return *this;
  }
  Fields table_;
  const T prototype_{};
};

template <class T>
Json encode(const T& value) {
  return T::fields().encode(&value);
}

template <class T>
JsonText encode_text(const T& value) {
  std::string out;
  T::fields().write(out, &value);
  return JsonText(std::move(out));
}

template <class T>
Result<T> decode(const Json& json, Reading reading = Reading::strict) {
  T out{};
  if (auto read = T::fields().decode(json, &out, reading); !read) return std::move(read).error();
  return out;
}

}  // namespace locald
