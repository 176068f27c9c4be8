#include "project/keys/service_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sys/signals.h"
#include "project/keys/network_reader.h"
#include "project/keys/value_readers.h"

namespace locald::project {
namespace {

using KeyFields = std::vector<Field>;

void append(KeyFields& to, KeyFields more) {
  for (Field& field : more) to.push_back(std::move(field));
}

/// What every service has.
KeyFields common_fields(Sink& sink, ServiceSpec& out) {
  return {
      command_field("command", sink, out.command),
      {"port",
       [&](const Node& v, const std::string& at) {
         out.port_at = v.at();
         if (v.is_string() && v.as_string() == "auto")
           out.auto_port = true;
         else if (v.is_string())
           sink.add(v.at(), "`port` must be a number or \"auto\"");
         else
           read_int(v, at, sink, 1, 65535, out.port);
       }},
      {"env", [&](const Node& v, const std::string& at) { read_variables(v, at, sink, out.env); }},
      texts_field("env_file", sink, out.env_file, /*one_is_fine=*/true),
      {"depends_on",
       [&](const Node& v, const std::string& at) { read_depends(v, at, sink, out.depends_on); }},
      {"health",
       [&](const Node& v, const std::string& at) { read_health(v, at, sink, out.health); }},
      {"restart",
       [&](const Node& v, const std::string& at) { read_restart(v, at, sink, out.restart); }},
      {"stop_signal",
       [&](const Node& v, const std::string& at) {
         Text word;
         if (!read_text(v, at, sink, word)) return;
         auto signal = parse_signal(word.raw);
         if (!signal) return sink.add(word.at, at, signal.error());
         out.stop_signal = *signal;
       }},
      duration_field("stop_timeout", sink, out.stop_timeout),
      bool_field("tty", sink, out.tty),
      {"network",
       [&](const Node& v, const std::string& at) { read_network_mode(v, at, sink, out.network); }},
  };
}

/// What runs in a container has, whatever it is made of.
KeyFields container_fields(Sink& sink, ServiceSpec& out) {
  return {
      {"pull",
       [&](const Node& v, const std::string& at) {
         read_choice<PullPolicy>(v, at, sink,
                                 {{"missing", PullPolicy::missing},
                                  {"always", PullPolicy::always},
                                  {"never", PullPolicy::never}},
                                 out.pull);
       }},
      {"volumes",
       [&](const Node& v, const std::string& at) { read_volumes(v, at, sink, out.volumes); }},
      texts_field("tmpfs", sink, out.tmpfs, /*one_is_fine=*/true),
      text_field("user", sink, out.user),
      {"memory", [&](const Node& v, const std::string& at) { read_size(v, at, sink, out.memory); }},
      {"cpus",
       [&](const Node& v, const std::string& at) {
         if (!v.is_number() || !(v.as_double() > 0) || v.as_double() > 100000)
           return sink.expected(v, at, "a number above 0");
         out.cpus = v.as_double();
       }},
      {"pids",
       [&](const Node& v, const std::string& at) { read_int(v, at, sink, 1, 4194304, out.pids); }},
      bool_field("init", sink, out.init),
      {"networks",
       [&](const Node& v, const std::string& at) { read_members(v, at, sink, out.networks); }},
      {"ports", [&](const Node& v, const std::string& at) { read_ports(v, at, sink, out.ports); }},
      {"container_port",
       [&](const Node& v, const std::string& at) {
         if (read_int(v, at, sink, 1, 65535, out.container_port) && out.port == 0 && !out.auto_port)
           out.port_at = v.at();
       }},
  };
}

KeyFields image_fields(Sink& sink, ServiceSpec& out) {
  return {text_field("image", sink, out.image), text_field("workdir", sink, out.workdir),
          command_field("entrypoint", sink, out.entrypoint)};
}

/// How one process type of an app is run.
KeyFields process_fields(Sink& sink, ServiceSpec& out) {
  return {text_field("process", sink, out.process), texts_field("args", sink, out.args)};
}

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
    bool runs_once = false;
    KeyFields fields = common_fields(sink, out);
    append(fields, container_fields(sink, out));
    append(fields, process_fields(sink, out));
    fields.push_back(bool_field("once", sink, runs_once));
    std::vector<Refused> refused;
    ServiceSpec unused;
    refuse(refused, fields, build_fields(sink, unused),
           "is the app's: it stands in [services." + app.name + "]");
    if (table.contains("once") && !table.contains("restart")) out.restart = {};
    read_table(table, fmt::format("[services.{}.processes.{}]", app.name, name), sink, fields,
               refused);
    if (runs_once) once.push_back(out.name);
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
  ServiceSpec out;
  out.name = name;
  out.at = table.at();
  const std::string title = fmt::format("[services.{}]", name);
  if (const Node& type = table["type"]; !type.is_nothing())
    read_choice<ServiceKind>(type, "`type`", sink,
                             {{"exec", ServiceKind::exec},
                              {"container", ServiceKind::container},
                              {"cnb", ServiceKind::cnb}},
                             out.kind);
  const bool is_app = out.kind == ServiceKind::cnb;
  out.init = is_app;  // few apps reap what others leave to them

  const Node* processes = nullptr;
  KeyFields fields = common_fields(sink, out);
  fields.push_back({"type", [](const Node&, const std::string&) {}});
  const KeyFields inside = container_fields(sink, out), image = image_fields(sink, out);
  KeyFields app = build_fields(sink, out);
  append(app, process_fields(sink, out));
  app.push_back({"processes", [&](const Node& v, const std::string&) { processes = &v; }});

  std::vector<Refused> refused;
  if (out.kind == ServiceKind::exec) fields.push_back(text_field("workdir", sink, out.workdir));
  if (out.kind != ServiceKind::exec) append(fields, inside);
  if (out.kind == ServiceKind::container) append(fields, image);
  if (is_app) append(fields, app);
  if (is_app) {
    refused.push_back({"image", "is for type = \"container\": an app's image is built"});
    refuse(refused, fields, image, "is for type = \"container\"");
  }
  refuse(refused, fields, inside, "is for type = \"container\" and \"cnb\"");
  refuse(refused, fields, image, "is for type = \"container\"");
  refuse(refused, fields, app, "is for type = \"cnb\"");
  read_table(table, title, sink, fields, refused);

  if (out.kind == ServiceKind::exec && !table.contains("command"))
    sink.add(out.at, fmt::format("{} has no `command`", title),
             table.contains("image") ? "an image needs type = \"container\"" : "");
  if (out.kind == ServiceKind::container && !table.contains("image"))
    sink.add(out.at, fmt::format("{} has no `image`", title));
  services.push_back(std::move(out));
  if (processes != nullptr) read_processes(*processes, "`processes`", sink, services);
}

}  // namespace locald::project
