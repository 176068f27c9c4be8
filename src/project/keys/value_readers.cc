#include "project/keys/value_readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
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

constexpr std::pair<std::string_view, DependsCondition> kConditions[] = {
    {"started", DependsCondition::started},
    {"healthy", DependsCondition::healthy},
    {"completed", DependsCondition::completed}};
constexpr std::pair<std::string_view, RestartMode> kPolicies[] = {
    {"no", RestartMode::no},
    {"on-failure", RestartMode::on_failure},
    {"always", RestartMode::always},
    {"unless-stopped", RestartMode::unless_stopped}};

const Shape& true_alone() {
  static const Shape shape{.kind = Shape::Kind::boolean, .low = 1};
  return shape;
}

KeyFields volume_fields(Sink& sink, VolumeSpec& out) {
  return {text_field("source",
                     {.text = "A folder or file of the host (it begins with `/`, `.` or `~`), or "
                              "the name of a volume; it may hold colons.",
                      .otherwise = "a volume without a name",
                      .example = "volumes = [{ source = \"./data\", target = \"/data\" }]"},
                     sink, out.source),
          text_field("target",
                     {.text = "Where it is mounted. It must be there.",
                      .example = "volumes = [{ target = \"/cache\" }]"},
                     sink, out.target),
          bool_field("read_only",
                     {.text = "Mounts it read-only.",
                      .fallback = "false",
                      .example = "volumes = [{ source = \"seed\", target = \"/seed\", read_only "
                                 "= true }]"},
                     sink, out.read_only)};
}

KeyFields restart_fields(Sink& sink, RestartSpec& out) {
  static const Shape policies{.kind = Shape::Kind::words, .words = shapes::words_of(kPolicies)};
  return {{"policy",
           policies,
           {.text = "As `restart` itself. It must be there.",
            .example = "restart = { policy = \"always\" }"},
           [&](const Node& v, const std::string& at) {
             read_choice(v, at, sink, kPolicies, out.mode);
           }},
          whole_field("max", shapes::whole<0, 1000000>(),
                      {.text = "So many restarts within `window`, then it stays ended, as "
                               "`crash-loop`; 0: no limit.",
                       .fallback = "0",
                       .example = "restart = { policy = \"on-failure\", max = 5 }"},
                      sink, out.max),
          duration_field("window",
                         {.text = "The time in which restarts are counted. `\"0s\"`: those since "
                                  "it last ran for 10 s.",
                          .fallback = "\"0s\"",
                          .example = "restart = { policy = \"on-failure\", max = 5, window = "
                                     "\"1m\" }"},
                         sink, out.window)};
}

KeyFields health_fields(Sink& sink, HealthSpec& out) {
  static const Shape tcp{.kind = Shape::Kind::either,
                         .parts = {&true_alone(), &shapes::port(), &shapes::text()}};
  const auto kind = [&out](HealthSpec::Kind k) { out.kind = k; };
  return {
      {"http",
       shapes::text(),
       {.text = "A path of the service itself, or a whole URL, which is asked whatever listens "
                "there. Ready is a status from 200 to 399.",
        .example = "health = { http = \"/healthz\" }"},
       [=, &sink, &out](const Node& v, const std::string& at) {
         kind(HealthSpec::Kind::http);
         read_text(v, at, sink, out.target);
       }},
      {"tcp",
       tcp,
       {.text = "`true`: the service's port takes connections; a number: another port of its own; "
                "a text: `\"HOST:PORT\"`.",
        .example = "health = { tcp = true }"},
       [=, &sink, &out](const Node& v, const std::string& at) {
         kind(HealthSpec::Kind::tcp);
         read_tcp(v, at, sink, out.target);
       }},
      {"exec",
       shapes::command(),
       {.text = "A command beside the service, in its container and environment, that exits with "
                "0.",
        .example = "health = { exec = [\"pg_isready\", \"-U\", \"postgres\"] }"},
       [=, &sink, &out](const Node& v, const std::string& at) {
         kind(HealthSpec::Kind::exec);
         read_command(v, at, sink, out.command);
       }},
      {"log",
       shapes::text(),
       {.text = "A regular expression (ECMAScript) that a line of its output matches.",
        .example = "health = { log = \"ready to accept connections\" }"},
       [=, &sink, &out](const Node& v, const std::string& at) {
         kind(HealthSpec::Kind::log);
         read_text(v, at, sink, out.target);
       }},
      {"notify",
       true_alone(),
       {.text = "The service says so itself, as sd_notify(3) does; of host processes alone.",
        .example = "health = { notify = true }"},
       [=, &sink](const Node& v, const std::string& at) {
         kind(HealthSpec::Kind::notify);
         read_notify(v, at, sink);
       }},
      duration_field("interval",
                     {.text = "The time between checks; more than zero.",
                      .fallback = "\"2s\"",
                      .example = "health = { tcp = true, interval = \"10s\" }"},
                     sink, out.interval),
      duration_field("timeout",
                     {.text = "A check that takes longer has failed; more than zero.",
                      .fallback = "\"1s\"",
                      .example = "health = { tcp = true, timeout = \"5s\" }"},
                     sink, out.timeout),
      duration_field("start_period",
                     {.text = "Until its first success, failures count only after this time.",
                      .fallback = "\"30s\"",
                      .example = "health = { tcp = true, start_period = \"2m\" }"},
                     sink, out.start_period),
      whole_field("retries", shapes::whole<1, 1000>(),
                  {.text = "So many failures in a row make it unhealthy.",
                   .fallback = "3",
                   .example = "health = { tcp = true, retries = 5 }"},
                  sink, out.retries)};
}

struct UlimitReading {
  std::int64_t soft = -1, hard = -1;
};

const Shape& any_limit() { return shapes::whole<-1, std::numeric_limits<std::int64_t>::max()>(); }

void read_limit(const Node& node, const std::string& where, Sink& sink, std::int64_t& out) {
  if (!node.is_int() || node.as_int() < -1)
    return sink.expected(node, where, "a number, or -1 for no limit");
  out = node.as_int();
}

KeyFields ulimit_fields(Sink& sink, UlimitReading& out) {
  return {{"soft",
           any_limit(),
           {.text = "What holds at first.",
            .example = "ulimits = { core = { soft = 0, hard = -1 } }",
            .since = "0.2"},
           [&](const Node& v, const std::string& at) { read_limit(v, at, sink, out.soft); }},
          {"hard",
           any_limit(),
           {.text = "How far the process may raise it.",
            .example = "ulimits = { core = { soft = 0, hard = -1 } }",
            .since = "0.2"},
           [&](const Node& v, const std::string& at) { read_limit(v, at, sink, out.hard); }}};
}

const Shape& health_table() {
  static const Shape shape{.kind = Shape::Kind::table,
                           .fields = looked_at<HealthSpec, health_fields>,
                           .one_of = {"http", "tcp", "exec", "log", "notify"}};
  return shape;
}

}  // namespace

const Shape& dependencies_shape() {
  static const Shape condition{.kind = Shape::Kind::words, .words = shapes::words_of(kConditions)};
  static const Shape conditions{
      .kind = Shape::Kind::names, .called = "table of conditions", .parts = {&condition}};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&shapes::texts(), &conditions}};
  return shape;
}

const Shape& volumes_shape() {
  static const Shape brief{.kind = Shape::Kind::text, .pattern = "."};
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<VolumeSpec, volume_fields>,
                           .required = {"target"}};
  static const Shape item{.kind = Shape::Kind::either, .parts = {&brief, &table}};
  static const Shape shape{.kind = Shape::Kind::list, .parts = {&item}};
  return shape;
}

const Shape& restart_shape() {
  static const Shape word{.kind = Shape::Kind::words, .words = shapes::words_of(kPolicies)};
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<RestartSpec, restart_fields>,
                           .required = {"policy"}};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&word, &table}};
  return shape;
}

const Shape& health_shape() {
  static const Shape shape{.kind = Shape::Kind::either,
                           .parts = {&shapes::text(), &health_table()}};
  return shape;
}

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
    read_choice(value, fmt::format("{}: {}", where, edge.service), sink, kConditions,
                edge.condition);
    out.push_back(std::move(edge));
  }
}

const Shape& ulimits_shape() {
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<UlimitReading, ulimit_fields>,
                           .required = {"soft", "hard"}};
  static const Shape item{.kind = Shape::Kind::either, .parts = {&any_limit(), &table}};
  static const Shape shape{
      .kind = Shape::Kind::names, .called = "table of limits", .parts = {&item}};
  return shape;
}

void read_ulimits(const Node& node, const std::string& where, Sink& sink,
                  std::vector<UlimitSpec>& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table like { nofile = 65536 }");
  for (const auto& [name, value] : node.as_table()) {
    UlimitReading reading;
    const std::string path = fmt::format("{}: {}", where, name);
    if (value.is_table())
      read_table(value, path, sink, ulimit_fields(sink, reading));
    else
      read_limit(value, path, sink, reading.soft);
    if (!value.is_table()) reading.hard = reading.soft;
    out.push_back({name, reading.soft, reading.hard, value.key_at()});
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
    read_table(item, where, sink, volume_fields(sink, volume),
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
  if (node.is_string()) return read_choice(node, where, sink, kPolicies, out.mode);
  if (!node.is_table())
    return sink.expected(node, where, "a string or a table { policy, max, window }");
  read_table(node, "`restart`", sink, restart_fields(sink, out));
  if (!node.contains("policy"))
    sink.add(node.at(), "`restart` needs a `policy`",
             "for example { policy = \"on-failure\", max = 5 }");
}

void read_health(const Node& node, const std::string& where, Sink& sink, HealthSpec& out) {
  out = {};
  out.at = node.at();
  if (node.is_string()) {  // "/healthz", or a whole URL
    out.kind = HealthSpec::Kind::http;
    read_text(node, where, sink, out.target);
    return;
  }
  if (!node.is_table())
    return sink.expected(node, where, "a path, or a table like { http = \"/healthz\" }");
  read_table(node, "`health`", sink, health_fields(sink, out));
  const auto& checks = health_table().one_of;
  const auto kinds = std::count_if(checks.begin(), checks.end(),
                                   [&](std::string_view check) { return node.contains(check); });
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
