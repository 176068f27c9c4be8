#include "project/compose/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/strings.h"
#include "project/compose/table_builder.h"
#include "project/compose/volume_text.h"

namespace locald::project::compose {
namespace {

void merge_members(Node& base, Node later, const Shape* shape, const std::string& path,
                   Report& report) {
  if (later.is_nothing()) return;
  if (base.is_nothing()) {
    base = std::move(later);
    return;
  }
  TableBuilder members(std::move(base));
  for (auto& [name, value] : *later.members()) {
    if (Node* const mine = members.find(name)) {
      const Shape* const inner = shape == nullptr ? nullptr : shape->find(name);
      merge(*mine, std::move(value), inner, member_path(path, name), report);
    } else {
      members.set(std::move(name), std::move(value));
    }
  }
  base = std::move(members).take();
}

/// "KEY=VALUE" for each member, by the bytes of these texts; a text is a list of one.
Node as_list(Node value) {
  if (value.is_array() || value.is_nothing()) return value;
  Node list(Node::Array{});
  list.place_as(value);
  const auto add = [&](std::string text, const Node& from) {
    Node item(std::move(text));
    item.place_as(from);
    list.push(std::move(item));
  };
  if (!value.is_table()) {
    add(scalar_text(value), value);
    return list;
  }
  for (const auto& [name, member] : value.as_table()) {
    if (member.is_nothing()) add(name, member);
    for (const Node& item : member.as_array())
      add(fmt::format("{}={}", name, scalar_text(item)), item);
    if (!member.is_nothing() && !member.is_array())
      add(fmt::format("{}={}", name, scalar_text(member)), member);
  }
  std::sort(list.items()->begin(), list.items()->end(),
            [](const Node& a, const Node& b) { return a.as_string() < b.as_string(); });
  return list;
}

void append(Node& base, Node later) {
  if (later.is_nothing()) return;
  if (base.is_nothing()) {
    base = std::move(later);
    return;
  }
  for (Node& item : *later.items()) base.push(std::move(item));
}

/// A list of names becomes a table of them, each with a copy of `settings`.
Node as_members(Node value, const Node& settings) {
  if (!value.is_array()) return value;
  TableBuilder members;
  for (const Node& item : value.as_array()) {
    Node member = settings;
    member.place_as(item);
    member.place_key(item.at());
    members.set(scalar_text(item), std::move(member));
  }
  Node out = std::move(members).take();
  out.place_as(value);
  return out;
}

Node as_build(Node value) {
  if (!value.is_string()) return value;
  Node out = Node::table();
  out.place_as(value);
  return out.set("context", std::move(value));
}

void merge_pools(Node& base, Node later, const std::string& path, Report& report) {
  std::unordered_map<std::string, std::size_t> by_subnet;
  Node::Array& pools = *base.items();
  for (std::size_t i = 0; i < pools.size(); ++i)
    by_subnet.emplace(pools[i]["subnet"].as_string(), i);
  for (Node& pool : *later.items()) {
    const std::string subnet = pool["subnet"].as_string();
    const auto [mine, fresh] = by_subnet.emplace(subnet, pools.size());
    if (fresh)
      pools.push_back(std::move(pool));
    else
      merge(pools[mine->second], std::move(pool), nullptr, path, report);
  }
}

bool both_are(const Node& a, const Node& b, bool (Node::*kind)() const noexcept) {
  return ((a.*kind)() || a.is_nothing()) && ((b.*kind)() || b.is_nothing());
}

std::string word_of(const Node& item) {
  const std::string text = scalar_text(item);
  return text.substr(0, text.find('='));
}

std::string port_of(const Node& item) {
  if (!item.is_table()) return scalar_text(item);
  const auto text = [&](std::string_view key, std::string_view otherwise) {
    const Node& member = item[key];
    return member.is_nothing() ? std::string(otherwise) : scalar_text(member);
  };
  return fmt::format("{}:{}:{}/{}", text("host_ip", "0.0.0.0"), text("published", "any"),
                     text("target", ""), text("protocol", "tcp"));
}

/// What Shape::index compares; nullopt for an item that nothing replaces.
std::optional<std::string> index_of(const Node& item, Index index) {
  const auto member = [&](std::string_view key) -> std::optional<std::string> {
    if (!item[key].is_string()) return std::nullopt;
    return item[key].as_string();
  };
  const auto mount = [&](std::string_view folder) {
    if (item.is_string()) return fmt::format("{}/{}", folder, item.as_string());
    if (const auto target = member("target")) return *target;
    return fmt::format("{}/{}", folder, item["source"].as_string());
  };
  if (item.is_nothing() || item.is_array()) return std::nullopt;
  switch (index) {
    case Index::none:
      return std::nullopt;
    case Index::word:
      return item.is_string() ? std::optional(word_of(item)) : std::nullopt;
    case Index::volume: {
      if (!item.is_string()) return member("target");
      const auto volume = parse_volume_text(item.as_string());
      return volume ? std::optional(volume->target) : std::nullopt;
    }
    case Index::device: {
      if (!item.is_string()) return member("target");
      const std::vector<std::string> parts = split(item.as_string(), ':');
      return parts.size() == 1 ? parts[0] : parts[1];
    }
    case Index::env_file:
      return item.is_string() ? item.as_string() : member("path");
    case Index::expose:
      return scalar_text(item);
    case Index::secret:
      return mount("/run/secrets");
    case Index::config:
      return mount("");
    case Index::port:
      return port_of(item);
  }
  return std::nullopt;
}

void erase_path(Node& value, const std::vector<std::string>& path, std::size_t from) {
  if (from + 1 == path.size()) {
    value.erase(path[from]);
  } else if (Node* const member = value.find(path[from])) {
    erase_path(*member, path, from + 1);
  }
}

}  // namespace

void merge(Node& base, Node later, const Shape* shape, const std::string& path, Report& report) {
  const Merge rule = shape == nullptr ? Merge::values : shape->merge;
  const auto refuse = [&] {
    report.problem(later,
                   fmt::format("`{}` is {} here, and {} at {}:{}:{}", path, kind_word(later),
                               kind_word(base), base.file(), base.at().line, base.at().column),
                   "`!override` in front of it replaces the earlier value");
  };
  const auto members = [&] {
    if (!both_are(base, later, &Node::is_table)) return refuse();
    merge_members(base, std::move(later), shape, path, report);
  };
  switch (rule) {
    case Merge::replace:
      base = std::move(later);
      return;
    case Merge::as_list:
      base = as_list(std::move(base));
      append(base, as_list(std::move(later)));
      return;
    case Merge::hosts: {
      base = as_list(std::move(base));
      Node more = as_list(std::move(later));
      std::unordered_set<std::string> there;
      for (const Node& item : base.as_array()) there.insert(scalar_text(item));
      if (Node::Array* const items = more.items())
        std::erase_if(*items,
                      [&](const Node& item) { return there.count(scalar_text(item)) != 0; });
      append(base, std::move(more));
      return;
    }
    case Merge::build:
      base = as_build(std::move(base));
      later = as_build(std::move(later));
      return members();
    case Merge::dependencies: {
      const Node started = Node::table({{"condition", "service_started"}, {"required", true}});
      base = as_members(std::move(base), started);
      later = as_members(std::move(later), started);
      return members();
    }
    case Merge::members:
      base = as_members(std::move(base), Node());
      later = as_members(std::move(later), Node());
      return members();
    case Merge::logging: {
      const Node& mine = base["driver"];
      const Node& other = later["driver"];
      if (later.is_table() && !mine.is_nothing() && !other.is_nothing() && !(mine == other)) {
        base = std::move(later);
        return;
      }
      return members();
    }
    case Merge::pools:
      if (!both_are(base, later, &Node::is_array)) return refuse();
      if (base.is_array() && later.is_array())
        return merge_pools(base, std::move(later), path, report);
      append(base, std::move(later));
      return;
    case Merge::values:
      break;
  }
  if (later.is_nothing()) return;
  if (base.is_table()) return members();
  if (base.is_array()) {
    if (!later.is_array()) return refuse();
    append(base, std::move(later));
    return;
  }
  base = std::move(later);
}

void drop_replaced(Node& value, const Shape& shape) {
  if (Node::Table* const members = value.members()) {
    for (auto& [name, member] : *members)
      if (const Shape* const inner = shape.find(name)) drop_replaced(member, *inner);
    return;
  }
  Node::Array* const items = value.items();
  if (items == nullptr || shape.index == Index::none) return;
  std::unordered_map<std::string, std::size_t> places;
  Node::Array kept;
  for (Node& item : *items) {
    if (const auto index = index_of(item, shape.index)) {
      const auto [there, fresh] = places.emplace(*index, kept.size());
      if (!fresh) {
        kept[there->second] = std::move(item);
        continue;
      }
    }
    kept.push_back(std::move(item));
  }
  *items = std::move(kept);
}

void apply_marks(Node& base, const std::vector<std::string>& path,
                 const std::vector<YamlMark>& marks) {
  for (const YamlMark& mark : marks) {
    if (mark.path.size() <= path.size() || !std::equal(path.begin(), path.end(), mark.path.begin()))
      continue;
    erase_path(base, mark.path, path.size());
  }
}

}  // namespace locald::project::compose
