// `watch`: patterns of files, and what a change of them does.
#include <fmt/format.h>

#include <utility>

#include "cnb/source/path_filter.h"
#include "project/keys/value_readers.h"

namespace locald::project {
namespace {

constexpr std::string_view kRestart = "restart";

/// What cannot match is a mistake, not a wish.
void add_pattern(const Text& text, const std::string& where, Sink& sink,
                 std::vector<std::string>& out) {
  if (const auto why = cnb::PathFilter::futile(text.raw))
    sink.add(text.at, fmt::format("{} = \"{}\" matches no file: {}", where, text.raw, *why));
  out.push_back(text.raw);
}

void read_patterns(const Node& node, const std::string& where, Sink& sink,
                   std::vector<std::string>& out) {
  std::vector<Text> texts;
  read_texts(node, where, sink, texts);
  for (const Text& text : texts) add_pattern(text, where, sink, out);
}

KeyFields watch_fields(Sink& sink, WatchSpec& out) {
  static const Shape actions{.kind = Shape::Kind::words, .words = {kRestart}};
  return {
      {"paths",
       shapes::texts(),
       {.text = "Patterns of the files, as in a `.gitignore`, of which one that begins with "
                "`!` takes away from those before it.",
        .example = "watch = [{ paths = [\"src/**\", \"*.toml\"] }]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_patterns(v, at, sink, out.paths); }},
      {"ignore",
       shapes::texts(),
       {.text = "Patterns of files and folders that are left out.",
        .example = "watch = [{ paths = [\"src/**\"], ignore = [\"src/generated/\"] }]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_patterns(v, at, sink, out.ignore); }},
      {"action",
       actions,
       {.text = "What is done.",
        .fallback = "\"restart\"",
        .example = "watch = [{ paths = [\"*.py\"], action = \"restart\" }]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { (void)read_word(v, at, sink, {kRestart}); }}};
}

}  // namespace

const Shape& watch_shape() {
  static const Shape pattern{.kind = Shape::Kind::text, .pattern = "."};
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<WatchSpec, watch_fields>,
                           .required = {"paths"}};
  static const Shape item{.kind = Shape::Kind::either, .parts = {&pattern, &table}};
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&item}};
  return shape;
}

void read_watch(const Node& node, const std::string& where, Sink& sink,
                std::vector<WatchSpec>& out) {
  if (!node.is_array()) return sink.expected(node, where, "an array of patterns and tables");
  WatchSpec brief;  // of all strings: a `!` takes away from those before it
  for (const Node& item : node.as_array()) {
    if (item.is_table()) {
      WatchSpec one;
      read_table(item, where, sink, watch_fields(sink, one));
      if (!item.contains("paths"))
        sink.add(item.at(), where + ": a table has no `paths`",
                 "for example { paths = [\"*.py\"] }");
      out.push_back(std::move(one));
      continue;
    }
    Text text;
    if (!read_text(item, where, sink, text)) continue;
    add_pattern(text, where, sink, brief.paths);
  }
  if (!brief.paths.empty()) out.insert(out.begin(), std::move(brief));
}

}  // namespace locald::project
