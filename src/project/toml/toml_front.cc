#include "project/toml/toml_front.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/node/toml.h"
#include "project/keys/key_reader.h"
#include "project/keys/network_reader.h"
#include "project/keys/service_keys.h"
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

KeyFields project_fields(Sink& sink, ProjectSpec& spec) {
  return {
      {"name",
       shapes::name(),
       {.text = "The project's name: small letters, digits, `-` and `_`, at most 63.",
        .otherwise = "the folder's name",
        .example = "name = \"shop\""},
       [&](const Node& v, const std::string& at) {
         Text text;
         if (!read_text(v, at, sink, text)) return;
         spec.name = text.raw;
         spec.name_at = text.at;
       }},
      {"network",
       networks_of_all(),
       {.text = "The network of all containers and apps that name none themselves.",
        .fallback = "\"project\"",
        .example = "network = \"host\"",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_network_mode(v, at, sink, spec.network); }},
      {"host_access",
       port_numbers_shape(),
       {.text = "Ports of the host's loopback that containers and apps reach, as "
                "host.locald.internal.",
        .otherwise = "none",
        .example = "host_access = [5432]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) {
         read_port_numbers(v, at, sink, spec.host_access);
       }},
      {"low_ports",
       low_ports_shape(),
       {.text = "Ports that are published below those that you may listen on (1024, unless "
                "net.ipv4.ip_unprivileged_port_start is lower) move up by that: 80 to 8080. "
                "By 1024 to 64511; `up --low-ports=+8000` does it once.",
        .otherwise = "such a port is refused",
        .example = "low_ports = \"+8000\"",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_low_ports(v, at, sink, spec.low_ports); }}};
}

template <ServiceKind kind>
KeyFields fields_of(Sink& sink, ServiceReading& out) {
  return service_fields(kind, sink, out);
}

}  // namespace

const std::vector<Shape>& service_shapes() {
  static const std::vector<Shape> shapes{
      {.kind = Shape::Kind::table,
       .called = "exec",
       .fields = looked_at<ServiceReading, fields_of<ServiceKind::exec>>,
       .required = {"command"}},
      {.kind = Shape::Kind::table,
       .called = "container",
       .fields = looked_at<ServiceReading, fields_of<ServiceKind::container>>,
       .required = {"image"},
       .implied_by = "image"},
      {.kind = Shape::Kind::table,
       .called = "cnb",
       .fields = looked_at<ServiceReading, fields_of<ServiceKind::cnb>>,
       .required = {"type"}}};
  return shapes;
}

KeyFields file_fields(Sink& sink, ProjectSpec& spec) {
  static const Shape project{.kind = Shape::Kind::table,
                             .fields = looked_at<ProjectSpec, project_fields>};
  static const Shape service{
      .kind = Shape::Kind::either,
      .parts = {&service_shapes()[0], &service_shapes()[1], &service_shapes()[2]}};
  static const Shape services{.kind = Shape::Kind::names,
                              .pattern = shapes::kNamePattern,
                              .parts = {&service},
                              .not_empty = true};
  return {{"project",
           project,
           {.text = "What holds for the whole project."},
           [&](const Node& node, const std::string& where) {
             if (!node.is_table()) return sink.expected(node, where, "a table");
             read_table(node, "[project]", sink, project_fields(sink, spec));
           }},
          {"networks",
           networks_shape(),
           {.text = "Networks of the project, beside `default`.", .since = "0.2"},
           [&](const Node& node, const std::string& where) {
             read_networks(node, where, sink, spec.networks);
           }},
          {"services",
           services,
           {.text = "The services, each a table of its own: small letters, digits, `-` and `_`."},
           [&](const Node& node, const std::string& where) {
             read_services(node, where, sink, spec.services);
           }}};
}

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
  read_table(root, "the file", sink, file_fields(sink, out.spec));
  sort_by_place(out.problems);
  return out;
}

}  // namespace locald::project
