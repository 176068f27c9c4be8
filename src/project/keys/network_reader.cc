#include "project/keys/network_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "project/port_text.h"

namespace locald::project {

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
    MemberSpec member;
    member.at = item.at();
    Text name;
    if (item.is_string()) {
      if (!read_text(item, where, sink, name)) continue;
    } else if (item.is_table()) {
      read_table(item, where, sink,
                 {text_field("name", sink, name), texts_field("aliases", sink, member.aliases),
                  text_field("address", sink, member.address)});
      if (!item.contains("name")) {
        sink.add(item.at(), where + " needs a `name`",
                 "for example { name = \"back\", aliases = [\"pg\"] }");
        continue;
      }
    } else {
      sink.expected(item, where, "a name, or a table { name, aliases, address }");
      continue;
    }
    member.network = name.raw;
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
    read_table(
        table, fmt::format("[networks.{}]", name), sink,
        {bool_field("internal", sink, network.internal), bool_field("ipv6", sink, network.ipv6),
         text_field("subnet", sink, network.subnet), texts_field("allow", sink, network.allow)});
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
