#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/node/node.h"
#include "base/result.h"
#include "project/keys/shape.h"
#include "project/project_spec.h"

/// How the tables of our TOML files are read: strictly, each key by a function that says what may
/// stand there, and all problems of a file at once.
namespace locald::project {

/// What all readers write to.
struct Sink {
  const std::string& file;
  Problems& problems;
  void add(SourcePos at, std::string message, std::string hint = {});
  void add(SourcePos at, const std::string& where, const Error& error);
  void expected(const Node& node, const std::string& where, std::string_view what);
};

/// What docs/locald-toml.md and editors say of a key. Each is Markdown, in whole sentences.
struct KeyText {
  std::string_view text;
  std::string_view fallback;   ///< its default, as it would be written; empty: there is none, or
  std::string_view otherwise;  ///< what holds where it is not written: "the image's"
  std::string_view example;    ///< whole lines of its table
  std::string_view since = "0.1";
};

/// One key of a table: what may stand there is said by the function that reads it.
struct Field {
  std::string_view name;
  std::reference_wrapper<const Shape> shape;
  KeyText text;
  std::function<void(const Node&, const std::string& where)> read;
};
using KeyFields = std::vector<Field>;

/// The fields that `make` gives, for those who only look at them.
template <typename T, KeyFields (*make)(Sink&, T&)>
KeyFields looked_at() {
  static const std::string file;
  static Problems problems;
  static Sink sink{file, problems};
  static T nobody;
  return make(sink, nobody);
}

/// A key that is known but refused, with what to say.
struct Refused {
  std::string_view name;
  std::string message;
};

/// Reads every key of `table`; the unknown ones are problems, with the one that was likely meant.
void read_table(const Node& table, const std::string& where, Sink& sink, const KeyFields& fields,
                const std::vector<Refused>& refused = {});

// Each reads one value into `out`; what does not fit is a problem, and `out` is as it was.
// `where` names the key in messages: "`port`". Those that return bool say whether it fitted.
bool read_text(const Node& node, const std::string& where, Sink& sink, Text& out);
void read_texts(const Node& node, const std::string& where, Sink& sink, std::vector<Text>& out,
                bool one_is_fine = false);
bool read_int(const Node& node, const std::string& where, Sink& sink, std::int64_t low,
              std::int64_t high, int& out);
void read_bool(const Node& node, const std::string& where, Sink& sink, bool& out);
void read_duration(const Node& node, const std::string& where, Sink& sink, Milliseconds& out);
void read_size(const Node& node, const std::string& where, Sink& sink, std::uint64_t& out);
void read_command(const Node& node, const std::string& where, Sink& sink, CommandSpec& out);
/// A table of strings, NAME = "value"; numbers, true and false too, whose meaning is plain.
void read_variables(const Node& node, const std::string& where, Sink& sink,
                    std::vector<std::pair<std::string, Text>>& out);
/// One of a few words: the index of it in `names`, or -1.
int read_word(const Node& node, const std::string& where, Sink& sink,
              const std::vector<std::string_view>& names);

template <typename T, std::size_t n>
void read_choice(const Node& node, const std::string& where, Sink& sink,
                 const std::pair<std::string_view, T> (&choices)[n], T& out) {
  if (const int index = read_word(node, where, sink, shapes::words_of(choices)); index >= 0)
    out = choices[index].second;
}

/// Fields made of the above.
Field text_field(std::string_view name, const KeyText& said, Sink& sink, Text& out);
Field texts_field(std::string_view name, const KeyText& said, Sink& sink, std::vector<Text>& out,
                  bool one_is_fine = false);
Field command_field(std::string_view name, const KeyText& said, Sink& sink, CommandSpec& out);
Field bool_field(std::string_view name, const KeyText& said, Sink& sink, bool& out);
Field duration_field(std::string_view name, const KeyText& said, Sink& sink, Milliseconds& out);
/// @param shape  Has the bounds; kept.
Field whole_field(std::string_view name, const Shape& shape, const KeyText& said, Sink& sink,
                  int& out);

}  // namespace locald::project
