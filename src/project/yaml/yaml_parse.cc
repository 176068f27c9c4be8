#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "project/yaml/yaml.h"
#include "project/yaml/yaml_scalar.h"

namespace locald::project {
namespace {

SourcePos pos_of(const yaml_mark_t& mark) {
  return {static_cast<unsigned>(mark.line) + 1, static_cast<unsigned>(mark.column) + 1};
}

std::string_view text_of(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

std::string spelled(SourcePos at) { return fmt::format("{}:{}", at.line, at.column); }

/// An event of libyaml, freed at the end or by the next one.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event_); }
  bool read(yaml_parser_t& parser) {
    yaml_event_delete(&event_);
    event_ = {};
    return yaml_parser_parse(&parser, &event_) != 0;
  }
  const yaml_event_t& operator*() const noexcept { return event_; }
  const yaml_event_t* operator->() const noexcept { return &event_; }

 private:
  yaml_event_t event_{};
};

enum class Mark : unsigned char { none, reset, override };

/// A value with the marks below it, which it takes along to where an alias puts it.
struct Composed {
  Node node;
  Mark mark = Mark::none;
  std::vector<YamlMark> below;  ///< paths start at `node`
  std::size_t nodes = 1;        ///< that it consists of
  int height = 0;               ///< tables and arrays within each other, itself among them
};

Mark mark_of(std::string_view tag) {
  return tag == "!reset" ? Mark::reset : tag == "!override" ? Mark::override : Mark::none;
}

/// From libyaml's events to our tree. Functions return false once `problem_` says why.
class Composer {
 public:
  Composer(std::string_view text, const std::string& file, const YamlLimits& limits)
      : text_(text), file_(std::make_shared<const std::string>(file)), limits_(limits) {
    yaml_parser_initialize(&parser_);
    // libyaml ends the program for a null, also without a byte to read.
    yaml_parser_set_input_string(
        &parser_, reinterpret_cast<const unsigned char*>(text.empty() ? "" : text.data()),
        text.size());
  }
  Composer(const Composer&) = delete;
  Composer& operator=(const Composer&) = delete;
  ~Composer() { yaml_parser_delete(&parser_); }

  bool documents(std::vector<YamlDocument>& out) {
    Event event;
    while (true) {
      if (!read(event)) return false;
      if (event->type == YAML_STREAM_END_EVENT) return true;
      if (event->type != YAML_DOCUMENT_START_EVENT) continue;
      anchors_.clear();
      respelled_.clear();
      Composed root;
      if (!read(event) || !compose(event, 0, root)) return false;
      if (root.mark == Mark::reset) root.node = Node();
      out.push_back({std::move(root.node), std::move(root.below), std::move(respelled_)});
    }
  }
  TextProblem take_problem() { return std::move(problem_); }

 private:
  bool fail(SourcePos at, std::string message, std::string hint = {}) {
    problem_ = {*file_, at, std::move(message), std::move(hint)};
    return false;
  }

  bool read(Event& event) {
    if (event.read(parser_)) return true;
    if (parser_.error == YAML_READER_ERROR) {
      const std::string_view before = text_.substr(0, parser_.problem_offset);
      const auto line = static_cast<unsigned>(std::count(before.begin(), before.end(), '\n')) + 1;
      const auto column = static_cast<unsigned>(before.size() - (before.rfind('\n') + 1)) + 1;
      return fail({line, column}, fmt::format("not YAML: {}", parser_.problem));
    }
    const std::string problem = parser_.problem == nullptr ? "out of memory" : parser_.problem;
    if (parser_.context == nullptr)
      return fail(pos_of(parser_.problem_mark), "not YAML: " + problem);
    // Where a quote is not closed, its end is of no use.
    if (std::strcmp(parser_.context, "while scanning a quoted scalar") == 0)
      return fail(pos_of(parser_.context_mark),
                  fmt::format("not YAML: {} {}", problem, parser_.context));
    std::string where;
    if (parser_.context_mark.line != parser_.problem_mark.line)
      where = fmt::format(" that begins at {}", spelled(pos_of(parser_.context_mark)));
    return fail(pos_of(parser_.problem_mark),
                fmt::format("not YAML: {} {}{}", problem, parser_.context, where));
  }

  bool too_deep(SourcePos at) {
    return fail(at, fmt::format("tables and arrays nest more than {} deep", limits_.max_depth));
  }

  bool count(std::size_t nodes, SourcePos at) {
    nodes_ += nodes;
    if (nodes_ <= limits_.max_nodes) return true;
    return fail(at, fmt::format("more than {} values", limits_.max_nodes),
                "an alias counts as all that it stands for");
  }

  bool compose(const Event& event, int depth, Composed& out) {
    const SourcePos at = pos_of(event->start_mark);
    if (event->type == YAML_ALIAS_EVENT) return alias(*event, at, depth, out);
    if (!count(1, at)) return false;
    // The event is gone once the next one has been read.
    std::string anchor;
    if (event->type == YAML_SCALAR_EVENT) {
      anchor = text_of(event->data.scalar.anchor);
      if (!scalar(*event, at, out)) return false;
    } else {
      const bool table = event->type == YAML_MAPPING_START_EVENT;
      anchor =
          text_of(table ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);
      out.height = 1;
      out.mark =
          mark_of(text_of(table ? event->data.mapping_start.tag : event->data.sequence_start.tag));
      if (depth >= limits_.max_depth) return too_deep(at);
      if (!anchor.empty()) anchors_[anchor] = nullptr;  // not to be used within itself
      if (!(table ? mapping(depth, out) : sequence(depth, out))) return false;
    }
    out.node.place_in(file_, at);
    if (anchor.empty()) return true;
    if (!count(out.nodes, at)) return false;
    anchors_[anchor] = std::make_shared<const Composed>(out);
    return true;
  }

  bool alias(const yaml_event_t& event, SourcePos at, int depth, Composed& out) {
    const std::string name(text_of(event.data.alias.anchor));
    const auto anchor = anchors_.find(name);
    if (anchor == anchors_.end())
      return fail(at, fmt::format("there is no anchor &{} before this *{}", name, name));
    if (anchor->second == nullptr)
      return fail(at, fmt::format("*{} stands within its own anchor &{}", name, name));
    if (!count(anchor->second->nodes, at)) return false;
    if (depth + anchor->second->height > limits_.max_depth) return too_deep(at);
    out = *anchor->second;
    return true;
  }

  bool scalar(const yaml_event_t& event, SourcePos at, Composed& out) {
    const auto& scalar = event.data.scalar;
    const std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const std::string_view tag = text_of(scalar.tag);
    out.mark = mark_of(tag);
    if (out.mark == Mark::reset) return true;
    const bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    auto value = yaml_scalar(text, out.mark == Mark::none ? tag : std::string_view(), plain);
    if (!value) return fail(at, value.error().message(), value.error().hint());
    if (plain && value->is_number() &&
        text !=
            (value->is_int() ? fmt::to_string(value->as_int()) : number_text(value->as_double())))
      respelled_.push_back({at, std::string(text)});
    out.node = std::move(*value);
    return true;
  }

  static void take_size(const Composed& part, Composed& out) {
    out.nodes += part.nodes;
    out.height = std::max(out.height, part.height + 1);
  }

  bool sequence(int depth, Composed& out) {
    Node::Array items;
    Event event;
    while (true) {
      if (!read(event)) return false;
      if (event->type == YAML_SEQUENCE_END_EVENT) break;
      Composed item;
      if (!compose(event, depth + 1, item)) return false;
      take_size(item, out);
      if (item.mark != Mark::reset) items.push_back(std::move(item.node));
    }
    out.node = std::move(items);
    return true;
  }

  struct Table {
    Node::Table members;
    std::unordered_map<std::string, SourcePos> keys;  ///< written ones, and where
    Composed merged;                                  ///< the value of `<<`
    SourcePos merge_at{};                             ///< of `<<`; nowhere: there is none
  };

  bool mapping(int depth, Composed& out) {
    Table table;
    Event event;
    while (true) {
      if (!read(event)) return false;
      if (event->type == YAML_MAPPING_END_EVENT) break;
      if (!member(event, depth, table, out)) return false;
    }
    if (table.merge_at.line != 0 && !merge(table, out)) return false;
    out.node = std::move(table.members);
    return true;
  }

  bool member(Event& event, int depth, Table& table, Composed& out) {
    const SourcePos key_at = pos_of(event->start_mark);
    const bool merges = event->type == YAML_SCALAR_EVENT &&
                        event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                        text_of(event->data.scalar.value) == "<<";
    Composed key;
    if (!compose(event, depth + 1, key)) return false;
    if (!key.node.is_string())
      return fail(key_at, fmt::format("a key must be a string, not {}", key.node.kind()),
                  key.node.is_table() || key.node.is_array() ? "" : "put it into quotes");
    const std::string& name = key.node.as_string();
    if (const auto [first, fresh] = table.keys.emplace(name, key_at); !fresh)
      return fail(key_at,
                  fmt::format("the key `{}` stands at {} already", shortened(name, 60),
                              spelled(first->second)),
                  merges ? "merge several at once: `<<: [*a, *b]`" : "");
    Composed value;
    if (!read(event) || !compose(event, depth + 1, value)) return false;
    out.nodes += key.nodes;
    take_size(value, out);
    if (merges) {
      table.merged = std::move(value);
      table.merge_at = key_at;
      return true;
    }
    take_marks(name, value, key_at, out);
    if (value.mark == Mark::reset) return true;
    value.node.place_key(key_at);
    table.members.emplace_back(name, std::move(value.node));
    return true;
  }

  /// The marks of a member and those below it, from `out` on.
  static void take_marks(const std::string& name, Composed& value, SourcePos at, Composed& out) {
    if (value.mark != Mark::none) out.below.push_back({{name}, at});
    for (YamlMark& mark : value.below) {
      mark.path.insert(mark.path.begin(), name);
      out.below.push_back(std::move(mark));
    }
  }

  /// Members of what `<<` names: those that the table does not have itself, the first ones first.
  bool merge(Table& table, Composed& out) {
    const auto add = [&](Node& from) {
      if (!from.is_table())
        return fail(table.merge_at, fmt::format("`<<` merges tables, not {}", from.kind()),
                    "an alias to a table, or an array of them");
      for (auto& [name, value] : *from.members()) {
        if (!table.keys.emplace(name, value.key_at()).second) continue;
        table.members.emplace_back(name, std::move(value));
      }
      return true;
    };
    for (YamlMark& mark : table.merged.below) out.below.push_back(std::move(mark));
    if (Node::Array* const items = table.merged.node.items()) {
      for (Node& item : *items)
        if (!add(item)) return false;
      return true;
    }
    return add(table.merged.node);
  }

  std::string_view text_;
  std::shared_ptr<const std::string> file_;
  YamlLimits limits_;
  yaml_parser_t parser_{};
  std::map<std::string, std::shared_ptr<const Composed>> anchors_;
  std::vector<YamlRespelled> respelled_;
  std::size_t nodes_ = 0;
  TextProblem problem_;
};

}  // namespace

std::optional<TextProblem> parse_yaml(std::vector<YamlDocument>& out, std::string_view text,
                                      const std::string& file, const YamlLimits& limits) {
  out.clear();
  if (text.size() > limits.max_bytes)
    return TextProblem{file, {}, "YAML of more than " + human_bytes(limits.max_bytes), {}};
  Composer composer(text, file, limits);
  if (composer.documents(out)) return std::nullopt;
  out.clear();
  return composer.take_problem();
}

}  // namespace locald::project
