#include "project/keys/network_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "project/port_text.h"

namespace locald::project {
namespace {

struct MemberReading {
  MemberSpec spec;
  Text name;
};

KeyFields member_fields(Sink& sink, MemberReading& out) {
  return {text_field("name",
                     {.text = "The network. It must be there.",
                      .example = "networks = [{ name = \"back\" }]",
                      .since = "0.2"},
                     sink, out.name),
          texts_field("aliases",
                      {.text = "More names by which the services of that network find this one.",
                       .example = "networks = [{ name = \"back\", aliases = [\"pg\"] }]",
                       .since = "0.2"},
                      sink, out.spec.aliases),
          text_field("address",
                     {.text = "Its IPv4 address there. The network needs a `subnet`.",
                      .otherwise = "a free one",
                      .example = "networks = [{ name = \"back\", address = \"10.100.0.9\" }]",
                      .since = "0.2"},
                     sink, out.spec.address)};
}

constexpr std::pair<std::string_view, NetworkSpec::Outbound> kWays[] = {
    {"relay", NetworkSpec::Outbound::relay},
    {"pasta", NetworkSpec::Outbound::pasta},
    {"none", NetworkSpec::Outbound::none}};

KeyFields network_fields(Sink& sink, NetworkSpec& out) {
  static const Shape ways{.kind = Shape::Kind::words, .words = shapes::words_of(kWays)};
  return {
      bool_field("internal",
                 {.text = "No connection leaves the network; names are answered as everywhere.",
                  .fallback = "false",
                  .example = "internal = true",
                  .since = "0.2"},
                 sink, out.internal),
      bool_field("ipv6",
                 {.text = "IPv6 beside IPv4.",
                  .fallback = "false",
                  .example = "ipv6 = true",
                  .since = "0.2"},
                 sink, out.ipv6),
      text_field("subnet",
                 {.text = "Its IPv4 addresses, from /8 to /29; the first one is the gateway's.",
                  .otherwise = "one of the project's range",
                  .example = "subnet = \"10.100.0.0/24\"",
                  .since = "0.2"},
                 sink, out.subnet),
      texts_field("allow",
                  {.text = "Link-local networks that it reaches; others are reached without it.",
                   .example = "allow = [\"169.254.0.0/16\"]",
                   .since = "0.2"},
                  sink, out.allow),
      text_field(
          "cni",
          {.text = "File of a CNI configuration list, whose plugins make the network's links "
                   "in place of locald.",
           .example = "cni = \"back.conflist\"",
           .since = "0.2"},
          sink, out.cni),
      {"outbound",
       ways,
       {.text = "By which way connections leave it: `relay`, TCP and DNS by locald-netd; `pasta`, "
                "UDP and ICMP too, by the program of that name; `none`, to the project's own host "
                "processes alone.",
        .fallback = "\"relay\"",
        .example = "outbound = \"pasta\"",
        .since = "0.2"},
       [&](const Node& value, const std::string& where) {
         out.outbound_at = value.at();
         read_choice(value, where, sink, kWays, out.outbound);
       }}};
}

const Shape& mode_words() {
  static const Shape shape{.kind = Shape::Kind::words, .words = {"project", "host", "none"}};
  return shape;
}

}  // namespace

const Shape& network_shape() {
  static const Shape of_service{
      .kind = Shape::Kind::text, .called = "`\"service:NAME\"`", .pattern = "^service:."};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&mode_words(), &of_service}};
  return shape;
}

const Shape& networks_of_all() { return mode_words(); }

const Shape& members_shape() {
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<MemberReading, member_fields>,
                           .required = {"name"}};
  static const Shape item{.kind = Shape::Kind::either, .parts = {&shapes::text(), &table}};
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&item}, .not_empty = true};
  return shape;
}

const Shape& ports_shape() {
  static const Shape item{.kind = Shape::Kind::either, .parts = {&shapes::port(), &shapes::text()}};
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&item}};
  return shape;
}

const Shape& networks_shape() {
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<NetworkSpec, network_fields>};
  static const Shape shape{
      .kind = Shape::Kind::names, .pattern = shapes::kNamePattern, .parts = {&table}};
  return shape;
}

const Shape& port_numbers_shape() {
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&shapes::port()}};
  return shape;
}

const Shape& low_ports_shape() {
  static const Shape shape{.kind = Shape::Kind::text, .pattern = "^\\+[0-9]+$"};
  return shape;
}

void read_network_mode(const Node& node, const std::string& where, Sink& sink, NetworkUse& out) {
  Text text;
  if (!read_text(node, where, sink, text)) return;
  out.at = text.at;
  static constexpr std::string_view kService = "service:";
  if (text.raw.starts_with(kService)) {
    out.mode = NetworkUse::Mode::service;
    out.service = text.raw.substr(kService.size());
    return;
  }
  if (text.raw == "host") out.mode = NetworkUse::Mode::host;
  if (text.raw == "none") out.mode = NetworkUse::Mode::none;
  if (text.raw == "project") out.mode = NetworkUse::Mode::project;
  if (out.mode == NetworkUse::Mode::unset)
    sink.add(text.at, fmt::format("{} = \"{}\" is unknown", where, text.raw),
             "use \"project\", \"host\", \"none\" or \"service:NAME\"; other networks stand in "
             "`networks`");
}

void read_members(const Node& node, const std::string& where, Sink& sink,
                  std::vector<MemberSpec>& out) {
  if (!node.is_array()) return sink.expected(node, where, "a list of networks");
  if (node.as_array().empty())
    return sink.add(
        node.at(), where + " names no network",
        "for a service without a network write network = \"none\"; without `networks` it is in "
        "the network \"default\"");
  for (const Node& item : node.as_array()) {
    MemberReading reading;
    MemberSpec& member = reading.spec;
    member.at = item.at();
    if (item.is_string()) {
      if (!read_text(item, where, sink, reading.name)) continue;
    } else if (item.is_table()) {
      read_table(item, where, sink, member_fields(sink, reading));
      if (!item.contains("name")) {
        sink.add(item.at(), where + " needs a `name`",
                 "for example { name = \"back\", aliases = [\"pg\"] }");
        continue;
      }
    } else {
      sink.expected(item, where, "a name, or a table { name, aliases, address }");
      continue;
    }
    member.network = reading.name.raw;
    if (std::any_of(out.begin(), out.end(),
                    [&](const MemberSpec& m) { return m.network == member.network; })) {
      sink.add(member.at, fmt::format("{} names {} twice", where, member.network));
      continue;
    }
    out.push_back(std::move(member));
  }
}

void read_ports(const Node& node, const std::string& where, Sink& sink, std::vector<Text>& out) {
  if (!node.is_array()) return sink.expected(node, where, "a list like [\"8080:80\"]");
  for (const Node& item : node.as_array()) {
    Text text;
    int number = 0;
    if (item.is_int()) {
      if (read_int(item, where, sink, 1, 65535, number))
        out.push_back({std::to_string(number), item.at()});
    } else if (item.is_string()) {
      if (read_text(item, where, sink, text)) out.push_back(std::move(text));
    } else {
      sink.expected(item, where, "a port, or a text like \"8080:80\"");
    }
  }
}

void read_networks(const Node& node, const std::string& where, Sink& sink,
                   std::vector<NetworkSpec>& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table");
  for (const auto& [name, table] : node.as_table()) {
    NetworkSpec network;
    network.name = name;
    network.at = table.at();
    if (!table.is_table()) {
      sink.expected(table, fmt::format("`networks.{}`", name), "a table");
      continue;
    }
    read_table(table, fmt::format("[networks.{}]", name), sink, network_fields(sink, network));
    out.push_back(std::move(network));
  }
}

void read_port_numbers(const Node& node, const std::string& where, Sink& sink,
                       std::vector<int>& out) {
  if (!node.is_array()) return sink.expected(node, where, "a list of ports");
  for (const Node& item : node.as_array())
    if (int port = 0; read_int(item, where, sink, 1, 65535, port)) out.push_back(port);
}

void read_low_ports(const Node& node, const std::string& where, Sink& sink, int& out) {
  Text text;
  if (!read_text(node, where, sink, text)) return;
  if (const auto by = parse_low_ports(text.raw))
    out = *by;
  else
    sink.add(text.at, by.error().message(), by.error().hint());
}

}  // namespace locald::project
