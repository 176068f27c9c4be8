#include <unistd.h>

#include <algorithm>
#include <optional>
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
  ipc::ServicePort port;  ///< container_port 0: the host's own
  std::string project, service, state;

  std::optional<int> inside() const {
    return port.container_port == 0 ? std::nullopt : std::optional(port.container_port);
  }
};

std::vector<Row> rows_of(const ipc::StatusReply& projects, const ipc::ContainerListReply& all) {
  std::vector<Row> out;
  for (const ipc::ProjectStatus& project :
       projects.projects.value_or(std::vector<ipc::ProjectStatus>()))
    for (const ipc::ServiceStatus& s : project.services) {
      if (s.network == "host" && s.port)
        out.push_back(
            {{.address = "127.0.0.1", .port = *s.port}, project.project, s.name, s.state});
      for (const ipc::ServicePort& port : s.ports)
        out.push_back({port, project.project, s.name, s.state});
    }
  for (const ipc::ContainerStatus& c : all.containers)
    for (const ipc::ServicePort& port : c.ports)
      out.push_back({port, "", c.name.value_or(c.id), c.state});
  std::sort(out.begin(), out.end(), [](const Row& a, const Row& b) {
    return std::tie(a.port.port, a.port.protocol, a.port.address, a.project, a.service) <
           std::tie(b.port.port, b.port.protocol, b.port.address, b.project, b.service);
  });
  return out;
}

Result<int> ports_verb(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const auto projects = TRY(client.ask(ipc::StatusRequest{.project = {}, .all = true}));
  const std::vector<Row> rows = rows_of(projects, TRY(client.ask(ipc::ContainerListRequest{})));
  if (args.has("json")) {
    Json list = Json::array();
    for (const Row& row : rows)
      list.push(Json::object({{"address", row.port.address},
                              {"port", row.port.port},
                              {"protocol", row.port.protocol},
                              {"project", row.project.empty() ? Json() : Json(row.project)},
                              {"service", row.service},
                              {"container_port", row.inside() ? Json(*row.inside()) : Json()},
                              {"state", row.state}}));
    return print_json(Json::object({{"ports", std::move(list)}}));
  }
  if (rows.empty()) notice("no port is published");
  std::vector<std::vector<std::string>> cells;
  for (const Row& row : rows)
    cells.push_back({place_text(row.port), row.project.empty() ? "-" : row.project, row.service,
                     row.inside() ? std::to_string(*row.inside()) : "-",
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
