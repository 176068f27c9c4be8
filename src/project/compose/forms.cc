#include "project/compose/forms.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "project/compose/published_ports.h"
#include "project/compose/shape.h"
#include "project/compose/table_builder.h"
#include "project/compose/volume_text.h"
#include "project/compose/walk.h"

namespace locald::project::compose {
namespace {

/// A value of our own that stands where `from` does.
Node placed(Node value, const Node& from) {
  value.place_as(from);
  return value;
}

void set_placed(Node& table, std::string key, Node value, const Node& from) {
  table.set(std::move(key), placed(std::move(value), from));
}

void set_if_missing(Node& table, const char* key, Node value) {
  if (!table.contains(key)) set_placed(table, key, std::move(value), table);
}

Node port_node(const PublishedPort& port, const Node& from) {
  Node out = placed(Node::table(), from);
  set_placed(out, "mode", "ingress", from);
  if (!port.address.empty()) set_placed(out, "host_ip", port.address, from);
  set_placed(out, "target", port.target, from);
  if (!port.published.empty()) set_placed(out, "published", port.published, from);
  set_placed(out, "protocol", port.protocol, from);
  return out;
}

class LongForms {
 public:
  explicit LongForms(Report& report) : report_(report) {}

  void walk(Node& node, const Shape& shape, const std::string& path) {
    change(node, shape.form, path);
    each_part(node, shape, path, [&](Node& part, const Shape& inner, const std::string& where) {
      walk(part, inner, where);
    });
  }

 private:
  void change(Node& node, Form form, const std::string& path) {
    switch (form) {
      case Form::none:
        return;
      case Form::build:
        return one_member(node, "context");
      case Form::extends:
        return one_member(node, "service");
      case Form::mount:
        return one_member(node, "source");
      case Form::env_file:
        return env_files(node);
      case Form::one_text:
      case Form::servers:
        one_text(node);
        if (Node::Array* const items = node.items(); items != nullptr && form == Form::servers)
          std::erase_if(*items, [](const Node& item) { return scalar_text(item).empty(); });
        return;
      case Form::dependencies:
        return dependencies(node);
      case Form::members:
        return members(node);
      case Form::gpus:
        if (node.is_string())
          node = placed(Node::array({placed(Node::table({{"count", "all"}}), node)}), node);
        return;
      case Form::volume:
        return volume(node, path);
      case Form::device:
        return device(node, path);
      case Form::ports:
        return ports(node, path);
      case Form::ssh:
        return ssh(node, path);
      case Form::pairs:
        return pairs(node, path);
      case Form::external:
        return external(node, path);
      case Form::scalar_text:
        if (node.is_bool() || node.is_number()) node = placed(scalar_text(node), node);
        return;
    }
  }

  static void one_member(Node& node, const char* key) {
    if (!node.is_string()) return;
    Node out = placed(Node::table(), node);
    set_placed(out, key, node.as_string(), node);
    node = std::move(out);
  }

  static void one_text(Node& node) {
    if (!node.is_string()) return;
    node = placed(Node::array({placed(node.as_string(), node)}), node);
  }

  static void env_files(Node& node) {
    one_text(node);
    if (!node.is_array()) return;
    for (Node& item : *node.items()) {
      one_member(item, "path");
      if (item.is_table()) set_if_missing(item, "required", true);
    }
  }

  static void dependencies(Node& node) {
    if (node.is_array()) {
      TableBuilder out;
      for (const Node& item : node.as_array()) {
        Node one = placed(Node::table(), item);
        one.place_key(item.at());
        out.set(item.as_string(), std::move(one));
      }
      node = placed(std::move(out).take(), node);
    }
    if (!node.is_table()) return;
    for (auto& [name, one] : *node.members()) {
      if (!one.is_table()) continue;
      set_if_missing(one, "condition", "service_started");
      set_if_missing(one, "required", true);
    }
  }

  static void members(Node& node) {
    if (!node.is_array()) return;
    TableBuilder out;
    for (const Node& item : node.as_array()) {
      Node nothing = placed(Node(), item);
      nothing.place_key(item.at());
      out.set(item.as_string(), std::move(nothing));
    }
    node = placed(std::move(out).take(), node);
  }

  void volume(Node& node, const std::string& path) {
    if (!node.is_string()) return;
    const auto text = parse_volume_text(node.as_string());
    if (!text) return report_.problem(node, path, text.error());
    for (const std::string& mode : text->unknown)
      report_.notice(node,
                     fmt::format("`{}`: the mode \"{}\" has no effect", path, shortened(mode, 40)));
    if (text->source.size() == 1 && !text->bind)
      report_.notice(node, fmt::format("`{}`: \"{}\" is the name of a volume, not a drive", path,
                                       text->source));
    Node out = placed(Node::table(), node);
    set_placed(out, "type", text->bind ? "bind" : "volume", node);
    if (!text->source.empty()) set_placed(out, "source", text->source, node);
    const bool absolute = text->target.starts_with('/');
    set_placed(out, "target", absolute ? tidy_path(text->target) : text->target, node);
    if (text->read_only) set_placed(out, "read_only", true, node);
    Node bind = placed(Node::table(), node), named = bind;
    set_placed(bind, "create_host_path", true, node);
    if (!text->selinux.empty()) set_placed(bind, "selinux", text->selinux, node);
    if (!text->propagation.empty()) set_placed(bind, "propagation", text->propagation, node);
    if (text->nocopy) set_placed(named, "nocopy", true, node);
    // Options of the other kind count where they are named: "x:/x:z" has the bind's label.
    if (text->bind || bind.as_table().size() > 1) set_placed(out, "bind", std::move(bind), node);
    // The reference sees nothing but a target in a text as short as "/d".
    if ((!text->bind && node.as_string().size() > 2) || text->nocopy)
      set_placed(out, "volume", std::move(named), node);
    node = std::move(out);
  }

  void device(Node& node, const std::string& path) {
    if (!node.is_string()) return;
    const std::vector<std::string> parts = split(node.as_string(), ':');
    if (parts.size() > 3)
      return report_.problem(
          node, fmt::format("`{}`: invalid device \"{}\"", path, shortened(node.as_string(), 80)),
          "SOURCE:TARGET:PERMISSIONS, like /dev/fuse:/dev/fuse:rw");
    Node out = placed(Node::table(), node);
    set_placed(out, "source", parts[0], node);
    set_placed(out, "target", parts.size() > 1 && !parts[1].empty() ? parts[1] : parts[0], node);
    set_placed(out, "permissions", parts.size() > 2 ? parts[2] : "rwm", node);
    node = std::move(out);
  }

  void ports(Node& node, const std::string& path) {
    if (!node.is_array()) return;
    Node::Array all;
    std::size_t i = 0;
    for (Node& item : *node.items()) {
      const std::string where = item_path(path, i++);
      if (item.is_table()) {
        all.push_back(std::move(item));
        continue;
      }
      const auto some = parse_published_ports(scalar_text(item));
      if (!some) {
        report_.problem(item, where, some.error());
        continue;
      }
      for (const PublishedPort& port : *some) all.push_back(port_node(port, item));
    }
    *node.items() = std::move(all);
  }

  void ssh(Node& node, const std::string& path) {
    if (!node.is_array()) return;
    TableBuilder out;
    for (const Node& item : node.as_array()) {
      const std::string& text = item.as_string();
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos && text != "default") {
        report_.problem(item,
                        fmt::format("`{}`: invalid ssh key \"{}\"", path, shortened(text, 60)),
                        "default, or ID=PATH");
        continue;
      }
      out.set(text.substr(0, equals),
              placed(equals == std::string::npos ? Node() : Node(text.substr(equals + 1)), item));
    }
    node = placed(std::move(out).take(), node);
  }

  void pairs(Node& node, const std::string& path) {
    if (!node.is_array()) return;
    TableBuilder out;
    for (const Node& item : node.as_array()) {
      const std::string& text = item.as_string();
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos) {
        report_.problem(item,
                        fmt::format("`{}`: \"{}\" is not NAME=VALUE", path, shortened(text, 60)));
        continue;
      }
      out.set(text.substr(0, equals), placed(text.substr(equals + 1), item));
    }
    node = placed(std::move(out).take(), node);
  }

  void external(Node& node, const std::string& path) {
    Node* const external = node.find("external");
    if (external == nullptr || !external->is_table()) return;
    const Node name = (*external)["name"];
    *external = placed(true, *external);
    if (name.is_nothing()) return;
    const Node& own = node["name"];
    if (!own.is_nothing() && !(own == name))
      return report_.problem(own,
                             fmt::format("`{}.name` and `{}.external.name` differ", path, path),
                             "keep `name`, and `external: true`");
    report_.notice(name, fmt::format("`{}.external.name` is an old form", path),
                   "write `name` beside `external: true`");
    if (own.is_nothing()) node.set("name", name);
  }

  Report& report_;
};

}  // namespace

void make_long(Node& root, Report& report) { LongForms(report).walk(root, kProjectShape, ""); }

}  // namespace locald::project::compose
