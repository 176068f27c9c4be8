#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

/// What a compose file may hold, and what each key means to the steps of loading, as tables of
/// constants: one Shape for each kind of value, by the compose specification (its JSON schema of
/// 2026-07). The steps walk a tree of nodes and the shapes side by side:
///
///     schema.h  what may stand where                       kinds, keys, words, low, high, unique
///     merge.h   how a later file changes an earlier one    merge, index
///     forms.h   the short forms become long ones           form
///     decode.h  texts become numbers, durations…           as
///     canonical_json.h  which values are left out          Key::rule
namespace locald::project::compose {

// What kinds of YAML values may stand there; a list of numbers and texts has several.
inline constexpr unsigned kText = 1, kWhole = 2, kNumber = 4, kBool = 8, kNull = 16, kList = 32,
                          kMap = 64;

/// How the value of a later file meets that of an earlier one.
enum class Merge : std::uint8_t {
  values,        ///< scalars are replaced, members merged, items of lists added
  replace,       ///< the later one counts
  as_list,       ///< both become lists of "KEY=VALUE", and items are added
  hosts,         ///< the same without those that are there already
  build,         ///< a text is the context
  dependencies,  ///< a list is of services that are started
  members,       ///< a list is of names without settings
  logging,       ///< options are merged where the driver is the same
  pools,         ///< of addresses: those of one subnet are merged
};

/// What makes two items of a list the same one; of those the last counts.
enum class Index : std::uint8_t {
  none,
  word,      ///< the text up to its `=`
  volume,    ///< where it is mounted
  device,    ///< its path inside
  env_file,  ///< its path
  expose,    ///< the number
  secret,    ///< its path inside
  config,    ///< its path inside
  port,      ///< address, ports, protocol
};

/// The short form that there is beside the long one.
enum class Form : std::uint8_t {
  none,
  build,         ///< the context
  dependencies,  ///< a list of services
  env_file,      ///< one path, or a list of them
  one_text,      ///< a text for a list of one
  servers,       ///< the same; empty ones are none
  extends,       ///< the service
  gpus,          ///< the word `all`
  members,       ///< a list of names
  volume,        ///< SOURCE:TARGET:MODE
  device,        ///< SOURCE:TARGET:PERMISSIONS
  mount,         ///< the name of a secret or config
  ports,         ///< a list of HOST:CONTAINER/PROTOCOL, each of which may be several
  ssh,           ///< a list of ID=PATH
  external,      ///< `external: {name: X}`
  pairs,         ///< a list of KEY=VALUE
  scalar_text,   ///< true, false and numbers are texts
};

/// What a value is in the canonical form.
enum class As : std::uint8_t {
  tree,            ///< what keys, values and items say
  text,            ///< whole numbers too
  flag,            ///< a text that says true or false, yes or no… too
  whole,           ///< a text of digits too
  real,            ///< a text of a number too
  duration,        ///< "1m30s"
  bytes,           ///< "64m", a number
  command,         ///< a list of words, of which a text is split
  test,            ///< a list; a text is one for a shell
  texts,           ///< a list of texts; one text is a list of one
  pairs,           ///< members that are texts; a list of KEY=VALUE too; without a value: ""
  optional_pairs,  ///< the same, without a value: nothing
  hosts,           ///< members that are lists of addresses
  mode,            ///< the permissions of a file, octal
  count,           ///< how many; `all` is -1
  limit,           ///< a number, or soft and hard
  lists,           ///< members that are lists of texts
  keys,            ///< ssh keys: a list of IDs, or {ID: PATH}
};

/// Which names other members may have.
enum class Names : std::uint8_t { none, any, plain };  ///< plain: [a-zA-Z0-9._-]+

struct Key;

struct Shape {
  unsigned kinds = kText;
  Merge merge = Merge::values;
  Index index = Index::none;
  Form form = Form::none;
  As as = As::tree;
  bool unique = false;  ///< of a list: no two items are equal
  Names names = Names::none;
  const Key* keys = nullptr;  ///< of a table; `x-…` may stand in each that has keys
  std::size_t key_count = 0;
  const Shape* values = nullptr;   ///< of members that `keys` does not have
  const Shape* items = nullptr;    ///< of a list
  std::string_view words = {};     ///< "one|of|these" for a text
  std::string_view required = {};  ///< "these|keys" of a table
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  const Key* begin() const noexcept { return keys; }
  const Key* end() const noexcept;
  /// That of the member `key`; null where there is none.
  const Shape* find(std::string_view key) const noexcept;
};

/// Whether a member is written where it says nothing (empty, 0, false).
enum class Rule : std::uint8_t {
  if_set,    ///< not
  if_there,  ///< if the file has it
  always,    ///< also if the file does not have it
  if_false,  ///< if it is false: what is meant otherwise is true
};

struct Key {
  std::string_view name;
  const Shape* shape = nullptr;
  Rule rule = Rule::if_set;
};

/// A whole file; the members of its `services`, and the values of the other sections.
extern const Shape kProjectShape, kServiceShape;

}  // namespace locald::project::compose
