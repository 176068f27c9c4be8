#include "project/keys/service_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "project/keys/service_keys.h"

namespace locald::project {
namespace {

void refuse(std::vector<Refused>& refused, const KeyFields& known, const KeyFields& others,
            const std::string& message) {
  for (const Field& field : others)
    if (std::none_of(known.begin(), known.end(),
                     [&](const Field& f) { return f.name == field.name; }))
      refused.push_back({field.name, message});
}

/// A service of the same app, for another of its process types.
ServiceSpec sibling(const ServiceSpec& app, const std::string& process, SourcePos at) {
  ServiceSpec out = app;
  out.name = app.name + "/" + process;
  out.at = at;
  out.process = {process, at};
  out.once = false;
  out.args.clear();
  out.command = {};
  out.auto_port = false;
  out.port = out.container_port = 0;
  out.ports.clear();
  out.health = {};
  return out;
}

/// Each has a copy of all that the app's table says.
constexpr std::size_t kMaxProcesses = 100;

/// `processes`: more services of the app. One that runs `once` is over before the others start.
void read_processes(const Node& node, const std::string& where, Sink& sink,
                    std::vector<ServiceSpec>& services) {
  const ServiceSpec app = services.back();
  const std::size_t first = services.size() - 1;
  std::vector<std::string> once;
  if (app.once) once.push_back(app.name);
  if (node.as_array().size() + node.as_table().size() > kMaxProcesses)
    return sink.add(node.at(),
                    fmt::format("{} names more than {} process types", where, kMaxProcesses));
  if (node.is_array()) {
    std::vector<Text> names;
    read_texts(node, where, sink, names);
    for (const Text& name : names) services.push_back(sibling(app, name.raw, name.at));
  } else if (!node.is_table()) {
    return sink.expected(node, where, "a list of process types or a table for each");
  }
  for (const auto& [name, table] : node.as_table()) {
    if (!table.is_table()) {
      sink.expected(table, fmt::format("{}: {}", where, name), "a table");
      continue;
    }
    ServiceSpec out = sibling(app, name, table.at());
    const KeyFields fields = process_table_fields(sink, out);
    std::vector<Refused> refused;
    refuse(refused, fields, looked_at<ServiceSpec, build_fields>(),
           "is the app's: it stands in [services." + app.name + "]");
    if (table.contains("once") && !table.contains("restart")) out.restart = {};
    read_table(table, fmt::format("[services.{}.processes.{}]", app.name, name), sink, fields,
               refused);
    if (out.once) once.push_back(out.name);
    services.push_back(std::move(out));
  }
  for (std::size_t i = first; i < services.size(); ++i)
    for (const std::string& before : once)
      if (std::find(once.begin(), once.end(), services[i].name) == once.end())
        services[i].depends_on.push_back({before, DependsCondition::completed, services[i].at});
}

}  // namespace

void read_service(const std::string& name, const Node& table, Sink& sink,
                  std::vector<ServiceSpec>& services) {
  ServiceReading reading;
  ServiceSpec& out = reading.spec;
  out.name = name;
  out.at = table.at();
  const std::string title = fmt::format("[services.{}]", name);
  if (const Node& type = table["type"]; !type.is_nothing())
    read_choice(type, "`type`", sink, kServiceKinds, out.kind);
  else if (table.contains("image"))
    out.kind = ServiceKind::container;
  const bool is_app = out.kind == ServiceKind::cnb;
  out.init = is_app;  // few apps reap what others leave to them

  const KeyFields fields = service_fields(out.kind, sink, reading);
  std::vector<Refused> refused;
  if (is_app)
    refused = {{"image", "is for type = \"container\": an app's image is built"},
               {"watch",
                "is for host processes and containers: `up` builds what has changed of an "
                "app, and `dev.sync` needs no build"}};
  refuse(refused, fields, looked_at<ServiceSpec, container_fields>(),
         "is for type = \"container\" and \"cnb\"");
  refuse(refused, fields, looked_at<ServiceSpec, image_fields>(), "is for type = \"container\"");
  refuse(refused, fields, looked_at<ServiceReading, app_fields>(), "is for type = \"cnb\"");
  read_table(table, title, sink, fields, refused);

  if (out.kind == ServiceKind::exec && !table.contains("command"))
    sink.add(out.at, fmt::format("{} has no `command`", title),
             table.contains("type") ? "" : "a host process has one; a container has an `image`");
  if (out.kind == ServiceKind::container && !table.contains("image"))
    sink.add(out.at, fmt::format("{} has no `image`", title));
  services.push_back(std::move(out));
  if (reading.processes != nullptr)
    read_processes(*reading.processes, "`processes`", sink, services);
}

}  // namespace locald::project
