#include "project/keys/value_readers.h"

#include <fmt/format.h>

#include <utility>

namespace locald::project {
namespace {

void read_tcp(const Node& node, const std::string& where, Sink& sink, Text& target) {
  int port = 0;
  if (node.is_string())
    read_text(node, where, sink, target);
  else if (node.is_int() && read_int(node, where, sink, 1, 65535, port))
    target = {std::to_string(port), node.at()};
  else if (node.is_bool() && !node.as_bool())
    sink.add(node.at(), "`tcp` = false has no effect", "leave out `health` for no check");
  else if (!node.is_int() && !node.is_bool())
    sink.expected(node, where, "a port, \"host:port\" or true");
}

void read_notify(const Node& node, const std::string& where, Sink& sink) {
  bool on = false;
  read_bool(node, where, sink, on);
  if (!on) sink.add(node.at(), "`notify` can only be true", "leave out `health` for no check");
}

}  // namespace

void read_depends(const Node& node, const std::string& where, Sink& sink,
                  std::vector<DependencySpec>& out) {
  if (node.is_array()) {
    for (const Node& item : node.as_array()) {
      Text text;
      if (read_text(item, where, sink, text))
        out.push_back({text.raw, DependsCondition::ready, text.at});
    }
    return;
  }
  if (!node.is_table())
    return sink.expected(node, where, "a list of services or a table SERVICE = \"healthy\"");
  for (const auto& [service, value] : node.as_table()) {
    DependencySpec edge{service, DependsCondition::ready, value.key_at()};
    read_choice<DependsCondition>(value, fmt::format("{}: {}", where, edge.service), sink,
                                  {{"started", DependsCondition::started},
                                   {"healthy", DependsCondition::healthy},
                                   {"completed", DependsCondition::completed}},
                                  edge.condition);
    out.push_back(std::move(edge));
  }
}

void read_volumes(const Node& node, const std::string& where, Sink& sink,
                  std::vector<VolumeSpec>& out) {
  if (!node.is_array()) return sink.expected(node, where, "an array of strings and tables");
  for (const Node& item : node.as_array()) {
    VolumeSpec volume;
    volume.at = item.at();
    if (item.is_string()) {
      if (read_text(item, where, sink, volume.text) && volume.text.empty())
        sink.add(item.at(), where + " holds an empty text");
      else
        out.push_back(std::move(volume));
      continue;
    }
    if (!item.is_table()) {
      sink.expected(item, where, "a string, or a table { source, target, read_only }");
      continue;
    }
    read_table(
        item, where, sink,
        {text_field("source", sink, volume.source), text_field("target", sink, volume.target),
         bool_field("read_only", sink, volume.read_only)},
        {{"type",
          "is not needed: a `source` that begins with / . or ~ is a folder of the "
          "host, another one the name of a volume; tmpfs is a key of its own"}});
    if (volume.target.empty() && !item.contains("target"))
      sink.add(item.at(), where + " needs a `target`",
               "for example { source = \"./data\", target = \"/data\" }");
    out.push_back(std::move(volume));
  }
}

void read_restart(const Node& node, const std::string& where, Sink& sink, RestartSpec& out) {
  const auto mode = [&](const Node& value, const std::string& at) {
    read_choice<RestartMode>(value, at, sink,
                             {{"no", RestartMode::no},
                              {"on-failure", RestartMode::on_failure},
                              {"always", RestartMode::always},
                              {"unless-stopped", RestartMode::unless_stopped}},
                             out.mode);
  };
  if (node.is_string()) return mode(node, where);
  if (!node.is_table())
    return sink.expected(node, where, "a string or a table { policy, max, window }");
  read_table(node, "`restart`", sink,
             {{"policy", mode},
              {"max", [&](const Node& v,
                          const std::string& at) { read_int(v, at, sink, 0, 1000000, out.max); }},
              duration_field("window", sink, out.window)});
  if (!node.contains("policy"))
    sink.add(node.at(), "`restart` needs a `policy`",
             "for example { policy = \"on-failure\", max = 5 }");
}

void read_health(const Node& node, const std::string& where, Sink& sink, HealthSpec& out) {
  out = {};
  out.at = node.at();
  int kinds = 0;
  const auto kind = [&](HealthSpec::Kind k) {
    out.kind = k;
    ++kinds;
  };
  if (node.is_string()) {  // "/healthz", or a whole URL
    kind(HealthSpec::Kind::http);
    read_text(node, where, sink, out.target);
    return;
  }
  if (!node.is_table())
    return sink.expected(node, where, "a path, or a table like { http = \"/healthz\" }");
  read_table(node, "`health`", sink,
             {{"http",
               [&](const Node& v, const std::string& at) {
                 kind(HealthSpec::Kind::http);
                 read_text(v, at, sink, out.target);
               }},
              {"tcp",
               [&](const Node& v, const std::string& at) {
                 kind(HealthSpec::Kind::tcp);
                 read_tcp(v, at, sink, out.target);
               }},
              {"exec",
               [&](const Node& v, const std::string& at) {
                 kind(HealthSpec::Kind::exec);
                 read_command(v, at, sink, out.command);
               }},
              {"log",
               [&](const Node& v, const std::string& at) {
                 kind(HealthSpec::Kind::log);
                 read_text(v, at, sink, out.target);
               }},
              {"notify",
               [&](const Node& v, const std::string& at) {
                 kind(HealthSpec::Kind::notify);
                 read_notify(v, at, sink);
               }},
              duration_field("interval", sink, out.interval),
              duration_field("timeout", sink, out.timeout),
              duration_field("start_period", sink, out.start_period),
              {"retries", [&](const Node& v, const std::string& at) {
                 read_int(v, at, sink, 1, 1000, out.retries);
               }}});
  if (kinds == 0)
    sink.add(out.at, "`health` names no check", "use one of http, tcp, exec, log or notify");
  if (kinds > 1)
    sink.add(out.at, "`health` names more than one check",
             "use one of http, tcp, exec, log or notify");
  for (const auto& [name, value] :
       {std::pair{"interval", out.interval}, std::pair{"timeout", out.timeout}})
    if (value.count() <= 0) sink.add(out.at, fmt::format("`{}` must be greater than zero", name));
}

}  // namespace locald::project
