#include "project/toml/toml_front.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/node/toml.h"
#include "project/keys/key_reader.h"
#include "project/keys/network_reader.h"
#include "project/keys/service_reader.h"

namespace locald::project {
namespace {

void read_services(const Node& node, const std::string& where, Sink& sink,
                   std::vector<ServiceSpec>& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table");
  for (const auto& [name, service] : node.as_table()) {
    if (service.is_table())
      read_service(name, service, sink, out);
    else
      sink.expected(service, fmt::format("`services.{}`", name), "a table");
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const ServiceSpec& a, const ServiceSpec& b) { return a.name < b.name; });
}

void read_project(const Node& root, Sink& sink, ProjectSpec& spec) {
  read_table(root, "the file", sink,
             {{"project",
               [&](const Node& node, const std::string& where) {
                 if (!node.is_table()) return sink.expected(node, where, "a table");
                 read_table(node, "[project]", sink,
                            {{"name",
                              [&](const Node& v, const std::string& at) {
                                Text text;
                                if (!read_text(v, at, sink, text)) return;
                                spec.name = text.raw;
                                spec.name_at = text.at;
                              }},
                             {"network",
                              [&](const Node& v, const std::string& at) {
                                read_network_mode(v, at, sink, spec.network);
                              }},
                             {"host_access",
                              [&](const Node& v, const std::string& at) {
                                read_port_numbers(v, at, sink, spec.host_access);
                              }},
                             {"low_ports", [&](const Node& v, const std::string& at) {
                                read_low_ports(v, at, sink, spec.low_ports);
                              }}});
               }},
              {"networks",
               [&](const Node& node, const std::string& where) {
                 read_networks(node, where, sink, spec.networks);
               }},
              {"services", [&](const Node& node, const std::string& where) {
                 read_services(node, where, sink, spec.services);
               }}});
}

}  // namespace

ParsedProject parse_project_toml(std::string_view text, const std::string& file) {
  ParsedProject out;
  out.spec.file = file;
  out.spec.dir = file.substr(0, file.rfind('/'));
  if (out.spec.dir.empty())
    out.spec.dir.push_back('/');  // not = "/": GCC 12 sees an overlap (PR 105651)
  Node root;
  if (auto problem = parse_toml_to(root, text, file, {})) {
    out.problems.push_back(std::move(*problem));
    return out;
  }
  Sink sink{file, out.problems};
  read_project(root, sink, out.spec);
  sort_by_place(out.problems);
  return out;
}

}  // namespace locald::project
