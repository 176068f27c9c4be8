#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/container.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

/// A port of this machine that leads to a service or container, or that a service on the host has.
struct Row {
  std::string address;
  int port = 0;
  std::string protocol, project, service;
  int inside = 0;  ///< 0: the host's own
  std::string state;
};

std::vector<Row> rows_of(const ipc::StatusReply& projects, const ipc::ContainerListReply& all) {
  std::vector<Row> out;
  for (const ipc::ProjectStatus& project :
       projects.projects.value_or(std::vector<ipc::ProjectStatus>()))
    for (const ipc::ServiceStatus& s : project.services) {
      if (s.network == "host" && s.port)
        out.push_back({"127.0.0.1", *s.port, "tcp", project.project, s.name, 0, s.state});
      for (const ipc::ServicePort& port : s.ports)
        out.push_back({port.address, port.port, port.protocol, project.project, s.name,
                       port.container_port, s.state});
    }
  for (const ipc::ContainerStatus& c : all.containers)
    for (const ipc::ServicePort& port : c.ports)
      out.push_back({port.address, port.port, port.protocol, "", c.name.value_or(c.id),
                     port.container_port, c.state});
  std::sort(out.begin(), out.end(), [](const Row& a, const Row& b) {
    return std::tie(a.port, a.protocol, a.address, a.project, a.service) <
           std::tie(b.port, b.protocol, b.address, b.project, b.service);
  });
  return out;
}

std::string where(const Row& row) {
  const std::string address =
      row.address.find(':') == std::string::npos ? row.address : "[" + row.address + "]";
  return address + ":" + std::to_string(row.port) + (row.protocol == "udp" ? "/udp" : "");
}

Result<int> ports_verb(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const auto projects = TRY(client.ask(ipc::StatusRequest{.project = {}, .all = true}));
  const std::vector<Row> rows = rows_of(projects, TRY(client.ask(ipc::ContainerListRequest{})));
  if (args.has("json")) {
    Json list = Json::array();
    for (const Row& row : rows)
      list.push(Json::object({{"address", row.address},
                              {"port", row.port},
                              {"protocol", row.protocol},
                              {"project", row.project.empty() ? Json() : Json(row.project)},
                              {"service", row.service},
                              {"container_port", row.inside == 0 ? Json() : Json(row.inside)},
                              {"state", row.state}}));
    return print_json(Json::object({{"ports", std::move(list)}}));
  }
  if (rows.empty()) notice("no port is published");
  std::vector<std::vector<std::string>> cells;
  for (const Row& row : rows)
    cells.push_back({where(row), row.project.empty() ? "-" : row.project, row.service,
                     row.inside == 0 ? "-" : std::to_string(row.inside),
                     paint(state_colour(row.state, ""), row.state, has_colour(STDOUT_FILENO))});
  if (cells.empty()) return 0;
  return out(table({"PORT", "PROJECT", "SERVICE", "INSIDE", "STATE"}, cells)) ? 0 : 1;
}

}  // namespace

const Verb kPorts{
    .name = "ports",
    .usage = "[--json]",
    .summary = "list the ports of all projects and containers",
    .details =
        "Ports of this machine that lead to a service or container, with the port inside it, and\n"
        "those that services on the host have. A chosen port stays the service's over `down`, "
        "until\n"
        "another process has it.\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = ports_verb,
};

}  // namespace locald::cli
