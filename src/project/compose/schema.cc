#include "project/compose/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

bool is_whole(const Node& value) {
  return value.is_int() || (value.is_float() && value.as_double() == std::floor(value.as_double()));
}

bool kind_fits(const Node& value, unsigned kinds) {
  if (value.is_nothing()) return (kinds & kNull) != 0;
  if (value.is_string()) return (kinds & kText) != 0;
  if (value.is_bool()) return (kinds & kBool) != 0;
  if (value.is_array()) return (kinds & kList) != 0;
  if (value.is_table()) return (kinds & kMap) != 0;
  return (kinds & kNumber) != 0 || ((kinds & kWhole) != 0 && is_whole(value));
}

std::string wanted(unsigned kinds) {
  constexpr std::pair<unsigned, std::string_view> kWords[] = {
      {kText, "a string"},      {kNumber, "a number"}, {kWhole, "a whole number"},
      {kBool, "true or false"}, {kList, "a list"},     {kMap, "a mapping"}};
  std::vector<std::string> words;
  for (const auto& [kind, word] : kWords)
    if ((kinds & kind) != 0) words.emplace_back(word);
  if (words.empty()) return "nothing";
  const std::string last = std::move(words.back());
  words.pop_back();
  return words.empty() ? last : fmt::format("{} or {}", join(words, ", "), last);
}

bool plain_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), plain);
}

class Check {
 public:
  explicit Check(Report& report) : report_(report) {}

  void value(const Node& node, const Shape& shape, const std::string& path) {
    if (report_.problems.size() >= kMaxProblems) return;
    if (!kind_fits(node, shape.kinds)) return wrong_kind(node, shape, path);
    if (node.is_table())
      table(node, shape, path);
    else if (node.is_array())
      list(node, shape, path);
    else if (node.is_string())
      text(node, shape, path);
    else if (node.is_number() && (node.as_double() < shape.low || node.as_double() > shape.high))
      report_.problem(node,
                      fmt::format("`{}` must be between {} and {}", path, shape.low, shape.high));
  }

 private:
  void wrong_kind(const Node& node, const Shape& shape, const std::string& path) {
    std::string hint;
    if (node.is_nothing())
      hint = "remove the key, or give it a value";
    else if ((node.is_number() || node.is_bool()) && (shape.kinds & kText) != 0)
      hint = "put it into quotes";
    report_.problem(
        node, fmt::format("`{}` must be {}, not {}", path, wanted(shape.kinds), kind_word(node)),
        std::move(hint));
  }

  void text(const Node& node, const Shape& shape, const std::string& path) {
    if (shape.words.empty()) return;
    const std::vector<std::string> words = split(shape.words, '|');
    const std::string& text = node.as_string();
    if (std::find(words.begin(), words.end(), text) != words.end()) return;
    const auto near = did_you_mean(text, words);
    report_.problem(node,
                    fmt::format("`{}` must be one of {}, not \"{}\"", path, join(words, ", "),
                                shortened(text, 60)),
                    near ? fmt::format("did you mean `{}`?", *near) : "");
  }

  void list(const Node& node, const Shape& shape, const std::string& path) {
    if (shape.items == nullptr) return;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.as_array().size(); ++i) {
      const Node& item = node.as_array()[i];
      value(item, *shape.items, item_path(path, i));
      if (!shape.unique) continue;
      const auto json = item.to_json();
      if (json && !seen.insert(json->dump()).second)
        report_.problem(item, fmt::format("`{}` is in the list already", item_path(path, i)),
                        "remove one of the two");
    }
  }

  void table(const Node& node, const Shape& shape, const std::string& path) {
    for (const auto& [name, member] : node.as_table()) {
      const Shape* const known = find(shape, name, path, member);
      if (known != nullptr) value(member, *known, member_path(path, name));
    }
    for (const std::string& key : split(shape.required, '|'))
      if (!key.empty() && !node.contains(key))
        report_.problem(node, fmt::format("`{}` needs the key `{}`", path, key));
  }

  /// That of a member; null where nothing is left to be said of it.
  const Shape* find(const Shape& shape, const std::string& name, const std::string& path,
                    const Node& member) {
    for (const Key& key : shape)
      if (key.name == name) return key.shape;
    if (shape.key_count != 0 && name.starts_with("x-")) return nullptr;
    if (shape.values != nullptr) {
      if (shape.names == Names::plain && !plain_name(name)) {
        report_.key_problem(member,
                            fmt::format("invalid name \"{}\" in `{}`", shortened(name, 60), path),
                            "letters, digits, and . _ - may stand in it");
        return nullptr;
      }
      return shape.values;
    }
    if (shape.key_count != 0) unknown(shape, name, path, member);
    return nullptr;
  }

  void unknown(const Shape& shape, const std::string& name, const std::string& path,
               const Node& member) {
    std::vector<std::string> known;
    for (const Key& key : shape) known.emplace_back(key.name);
    std::string hint;
    if (const auto near = did_you_mean(name, known)) {
      hint = fmt::format("did you mean `{}`?", *near);
    } else if (path.empty() &&
               (member.is_table() && (member.contains("image") || member.contains("build")))) {
      hint = "a file of version 1, without `services`? Put its services below that key";
    } else if (known.size() <= 12) {
      hint = "known here: " + join(known, ", ");
    } else {
      hint = "keys of your own begin with x-";
    }
    report_.key_problem(member,
                        fmt::format("unknown key `{}` in {}", shortened(name, 60),
                                    path.empty() ? "the file" : fmt::format("`{}`", path)),
                        std::move(hint));
  }

  Report& report_;
};

/// What the shapes cannot say.
void check_words_of_service(const Node& service, const std::string& path, Report& report) {
  const Node& name = service["container_name"];
  if (name.is_string()) {
    std::size_t run = 0, longest = 0;  // of characters that may follow the first one
    for (const char c : name.as_string()) {
      const bool first = std::isalnum(static_cast<unsigned char>(c)) != 0;
      run = first || (run > 0 && (c == '_' || c == '.' || c == '-')) ? run + 1 : 0;
      longest = std::max(longest, run);
    }
    if (longest < 2)
      report.problem(name,
                     fmt::format("`{}.container_name`: invalid name \"{}\"", path,
                                 shortened(name.as_string(), 60)),
                     "two characters at least, the first one a letter or a digit");
  }
}

}  // namespace

void check_schema(const Node& root, Report& report) {
  Check(report).value(root, kProjectShape, "");
  for (const auto& [name, service] : root["services"].as_table())
    check_words_of_service(service, member_path("services", name), report);
}

}  // namespace locald::project::compose
