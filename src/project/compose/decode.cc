#include "project/compose/decode.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "base/strings.h"
#include "project/compose/quantities.h"
#include "project/compose/shape.h"
#include "project/compose/table_builder.h"
#include "project/compose/walk.h"

namespace locald::project::compose {
namespace {

std::optional<std::int64_t> whole_of(const Node& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_float() && std::abs(value.as_double()) < 9.2e18)
    return static_cast<std::int64_t>(value.as_double());
  if (!value.is_string()) return std::nullopt;
  std::string_view text = value.as_string();
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> real_of(const Node& value) {
  if (value.is_number()) return value.as_double();
  const std::string& text = value.as_string();
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

class Decoding {
 public:
  Decoding(const Respelled& respelled, Report& report) : respelled_(respelled), report_(report) {}

  void walk(Node& node, const Shape& shape, const std::string& path) {
    if (shape.as != As::tree) return value(node, shape, path);
    each_part(node, shape, path, [&](Node& part, const Shape& inner, const std::string& where) {
      walk(part, inner, where);
    });
  }

 private:
  void replace(Node& node, Node value) {
    value.place_as(node);
    node = std::move(value);
  }

  void bad(const Node& node, const std::string& path, std::string_view wanted) {
    report_.problem(node, fmt::format("`{}` must be {}, not \"{}\"", path, wanted,
                                      shortened(scalar_text(node), 60)));
  }

  void value(Node& node, const Shape& shape, const std::string& path) {
    if (node.is_nothing() && shape.as != As::test) return;
    switch (shape.as) {
      case As::tree:
        return;
      case As::text:
        return replace(node, scalar_text(node));
      case As::flag:
        return flag(node, path);
      case As::whole:
        return whole(node, shape, path);
      case As::real:
        if (const auto number = real_of(node)) return replace(node, *number);
        return bad(node, path, "a number");
      case As::duration:
        if (auto time = parse_duration(scalar_text(node)))
          return replace(node, duration_text(*time));
        else
          return report_.problem(node, path, time.error());
      case As::bytes:
        if (auto bytes = parse_bytes(scalar_text(node)))
          return replace(node, fmt::to_string(*bytes));
        else
          return report_.problem(node, path, bytes.error());
      case As::command:
        return command(node, path);
      case As::test:
        return test(node);
      case As::texts:
        return texts(node);
      case As::pairs:
        return pairs(node, path, false);
      case As::optional_pairs:
        return pairs(node, path, true);
      case As::hosts:
        return hosts(node, path);
      case As::mode:
        return mode(node, path);
      case As::count:
        if (to_lower(scalar_text(node)) == "all") return replace(node, -1);
        return whole(node, shape, path);
      case As::limit:
        if (!node.is_table()) return whole(node, shape, path);
        for (auto& [name, member] : *node.members())
          if (!name.starts_with("x-")) whole(member, shape, member_path(path, name));
        return;
      case As::lists:
        return lists(node);
      case As::keys:
        for (auto& [name, member] : *node.members())
          if (!member.is_nothing()) replace(member, scalar_text(member));
        return;
    }
  }

  void flag(Node& node, const std::string& path) {
    if (node.is_bool()) return;
    const auto flag = parse_flag(node.as_string());
    if (!flag) return bad(node, path, "true or false");
    const std::string word = to_lower(node.as_string());
    if (word != "true" && word != "false")
      report_.notice(node,
                     fmt::format("`{}`: \"{}\" is read as {}", path, node.as_string(),
                                 *flag ? "true" : "false"),
                     "YAML 1.2 knows true and false alone");
    replace(node, *flag);
  }

  void whole(Node& node, const Shape& shape, const std::string& path) {
    const auto number = whole_of(node);
    if (!number) return bad(node, path, "a whole number");
    const auto real = static_cast<double>(*number);
    if (real < shape.low || real > shape.high)
      return bad(node, path, fmt::format("between {} and {}", shape.low, shape.high));
    replace(node, *number);
  }

  void command(Node& node, const std::string& path) {
    if (node.is_array()) return texts(node);
    auto split = split_words(node.as_string());
    if (!split) return report_.problem(node, path, split.error());
    if (!split->dropped.empty())
      report_.notice(node,
                     fmt::format("`{}`: no shell runs this, and \"{}\" is left out", path,
                                 shortened(split->dropped, 60)),
                     "write it as a list: [sh, -c, \"…\"]");
    Node list(Node::Array{});
    for (std::string& word : split->words) {
      Node item(std::move(word));
      item.place_as(node);
      list.push(std::move(item));
    }
    replace(node, std::move(list));
  }

  void test(Node& node) {
    if (!node.is_string()) return;
    Node kind("CMD-SHELL"), text(node.as_string());
    kind.place_as(node);
    text.place_as(node);
    replace(node, Node::array({std::move(kind), std::move(text)}));
  }

  void texts(Node& node) {
    if (!node.is_array()) {
      Node item(scalar_text(node));
      item.place_as(node);
      return replace(node, Node::array({std::move(item)}));
    }
    for (Node& item : *node.items()) replace(item, scalar_text(item));
  }

  void pairs(Node& node, const std::string& path, bool optional) {
    TableBuilder out;
    const auto add = [&](std::string key, Node value, const Node& from) {
      value.place_as(from);
      if (const auto spelled = respelled_.find({from.file(), from.at().line, from.at().column});
          spelled != respelled_.end() && value.is_string())
        report_.notice(from,
                       fmt::format("`{}`: {} is read as {}", member_path(path, key),
                                   spelled->second, value.as_string()),
                       "put it into quotes");
      out.set(std::move(key), std::move(value));
    };
    for (const auto& [name, member] : node.as_table()) {
      const bool none = member.is_nothing();
      add(name, none && optional ? Node() : Node(scalar_text(member)), member);
    }
    for (const Node& item : node.as_array()) {
      const std::string text = scalar_text(item);
      const std::size_t equals = text.find('=');
      std::string key = text.substr(0, equals);
      if (optional && !key.empty() && (key.back() == ' ' || key.back() == '\t')) {
        report_.problem(
            item, fmt::format("`{}`: a blank after the name \"{}\"", path, shortened(key, 60)),
            "write NAME=VALUE without blanks around the =");
        continue;
      }
      Node value = equals == std::string::npos ? Node("") : Node(text.substr(equals + 1));
      if (equals == std::string::npos && optional) value = Node();
      add(std::move(key), std::move(value), item);
    }
    replace(node, std::move(out).take());
  }

  void hosts(Node& node, const std::string& path) {
    TableBuilder out;
    const auto add = [&](const std::string& host, std::string_view address, const Node& from) {
      if (host.empty() || host.find_first_of(":=") != std::string::npos) {
        report_.problem(from,
                        fmt::format("`{}`: invalid host name \"{}\"", path, shortened(host, 60)));
        return;
      }
      if (address.size() > 2 && address.front() == '[' && address.back() == ']')
        address = address.substr(1, address.size() - 2);
      Node one(address);
      one.place_as(from);
      if (Node* const known = out.find(host)) {
        known->push(std::move(one));
      } else {
        Node list(Node::Array{});
        list.place_as(from);
        list.push(std::move(one));
        out.set(host, std::move(list));
      }
    };
    for (const auto& [host, member] : node.as_table()) {
      if (!member.is_array()) add(host, scalar_text(member), member);
      for (const Node& item : member.as_array()) add(host, scalar_text(item), item);
    }
    for (const Node& item : node.as_array()) {
      const std::string text = scalar_text(item);
      std::size_t between = text.find('=');
      if (between == std::string::npos) between = text.find(':');
      if (between == std::string::npos) {
        report_.problem(item, fmt::format("`{}`: \"{}\" has no address", path, shortened(text, 60)),
                        "HOST=ADDRESS");
        continue;
      }
      for (const std::string& address : split(std::string_view(text).substr(between + 1), ','))
        add(text.substr(0, between), address, item);
    }
    replace(node, std::move(out).take());
  }

  void mode(Node& node, const std::string& path) {
    if (node.is_int()) return;
    const std::string& text = node.as_string();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 8);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
      return bad(node, path, "an octal number like 0440");
    replace(node, number);
  }

  void lists(Node& node) {
    for (auto& [name, member] : *node.members()) texts(member);
  }

  const Respelled& respelled_;
  Report& report_;
};

}  // namespace

void decode(Node& root, const Respelled& respelled, Report& report) {
  Decoding(respelled, report).walk(root, kProjectShape, "");
}

}  // namespace locald::project::compose
