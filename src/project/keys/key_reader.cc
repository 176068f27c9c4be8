#include "project/keys/key_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "base/units.h"

namespace locald::project {
namespace {

/// What other tools call it, and what it is here. More than one of ours may fit, as it is another
/// table's: the one that the table knows is the one that is meant.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"environment", "env"},
    {"env_vars", "env"},
    {"envfile", "env_file"},
    {"env_files", "env_file"},
    {"stop_grace_period", "stop_timeout"},
    {"kill_timeout", "stop_timeout"},
    {"grace_period", "stop_timeout"},
    {"kill_signal", "stop_signal"},
    {"cwd", "workdir"},
    {"dir", "workdir"},
    {"directory", "workdir"},
    {"working_dir", "workdir"},
    {"working_directory", "workdir"},
    {"cmd", "command"},
    {"run", "command"},
    {"exec", "command"},
    {"start", "command"},
    {"healthcheck", "health"},
    {"health_check", "health"},
    {"readiness_probe", "health"},
    {"depends", "depends_on"},
    {"requires", "depends_on"},
    {"restart_policy", "restart"},
    {"pull_policy", "pull"},
    {"mem_limit", "memory"},
    {"mem", "memory"},
    {"cpu", "cpus"},
    {"cpu_limit", "cpus"},
    {"pids_limit", "pids"},
    {"mounts", "volumes"},
    {"network_mode", "network"},
    {"networks", "network"},
    {"expose", "container_port"},
    {"context", "path"},
    {"watch", "sync"},
    {"test", "exec"},
    {"cmd", "exec"},
    {"command", "exec"},
    {"url", "http"},
    {"path", "http"},
    {"port", "tcp"},
    {"period", "interval"},
    {"initial_delay", "start_period"},
    {"condition", "policy"},
    {"max_attempts", "max"},
    {"max_retries", "max"},
    {"src", "source"},
    {"dst", "target"},
    {"destination", "target"},
    {"readonly", "read_only"},
};

/// Of what a file from elsewhere may hold: where it belongs here.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"env_file", "it stands in each service's table"},
    {"environment", "`env` stands in each service's table"},
    {"env", "it stands in each service's table"},
    {"volumes", "a volume needs no declaration: name it in a service's `volumes`"},
    {"networks", "networks are tables of their own: [networks.NAME]"},
    {"version", "no version is needed"},
    {"name", "it stands in [project]: name = \"shop\""},
};

/// The key of `known` that `name` is elsewhere; empty: none.
std::string_view same_elsewhere(std::string_view name, const std::vector<std::string>& known) {
  for (const auto& [other, ours] : kOtherNames)
    if (other == name && std::find(known.begin(), known.end(), ours) != known.end()) return ours;
  return {};
}

std::string_view kind_of(const Node& node) { return node.is_number() ? "a number" : node.kind(); }

}  // namespace

void Sink::add(SourcePos at, std::string message, std::string hint) {
  if (problems.size() >= kMaxProblems) return;
  problems.push_back({file, at, std::move(message), std::move(hint)});
}

void Sink::add(SourcePos at, const std::string& where, const Error& error) {
  add(at, fmt::format("{}: {}", where, error.message()), error.hint());
}

void Sink::expected(const Node& node, const std::string& where, std::string_view what) {
  add(node.at(), fmt::format("{} must be {}, not {}", where, what, kind_of(node)));
}

void read_table(const Node& table, const std::string& where, Sink& sink, const KeyFields& fields,
                const std::vector<Refused>& refused) {
  for (const auto& [name, node] : table.as_table()) {
    if (sink.problems.size() >= kMaxProblems) return;
    const auto named = [&name = name](const auto& entry) { return entry.name == name; };
    const auto field = std::find_if(fields.begin(), fields.end(), named);
    if (field != fields.end()) {
      field->read(node, fmt::format("`{}`", name));
      continue;
    }
    const auto no = std::find_if(refused.begin(), refused.end(), named);
    if (no != refused.end()) {
      sink.add(node.key_at(), fmt::format("`{}` {}", name, no->message));
      continue;
    }
    std::vector<std::string> known;
    for (const Field& f : fields) known.emplace_back(f.name);
    std::string hint;
    const auto elsewhere = std::find_if(std::begin(kElsewhere), std::end(kElsewhere),
                                        [&](const auto& entry) { return entry.first == name; });
    std::vector<std::string> ours_all = known;  // with those of another type of service
    for (const Refused& r : refused) ours_all.emplace_back(r.name);
    if (const std::string_view ours = same_elsewhere(name, ours_all); !ours.empty()) {
      hint = fmt::format("here it is `{}`", ours);
    } else if (elsewhere != std::end(kElsewhere) && (where == "the file" || where == "[project]")) {
      hint = elsewhere->second;
    } else if (const auto near = did_you_mean(name, known)) {
      hint = fmt::format("did you mean `{}`?", *near);
    } else {
      std::sort(known.begin(), known.end());
      hint = "known here: " + join(known, ", ");
    }
    sink.add(node.key_at(), fmt::format("unknown key `{}` in {}", name, where), hint);
  }
}

bool read_text(const Node& node, const std::string& where, Sink& sink, Text& out) {
  if (!node.is_string()) return sink.expected(node, where, "a string"), false;
  if (node.as_string().find('\0') != std::string::npos)
    return sink.add(node.at(), where + " holds a NUL byte"), false;
  out = {node.as_string(), node.at()};
  return true;
}

void read_texts(const Node& node, const std::string& where, Sink& sink, std::vector<Text>& out,
                bool one_is_fine) {
  Text text;
  if (one_is_fine && node.is_string()) {
    if (read_text(node, where, sink, text)) out.push_back(std::move(text));
    return;
  }
  if (!node.is_array()) return sink.expected(node, where, "an array of strings");
  for (const Node& item : node.as_array())
    if (read_text(item, where, sink, text)) out.push_back(text);
}

bool read_int(const Node& node, const std::string& where, Sink& sink, std::int64_t low,
              std::int64_t high, int& out) {
  if (!node.is_int()) return sink.expected(node, where, "a whole number"), false;
  if (node.as_int() < low || node.as_int() > high)
    return sink.add(node.at(), fmt::format("{} must be between {} and {}, not {}", where, low, high,
                                           node.as_int())),
           false;
  out = static_cast<int>(node.as_int());
  return true;
}

void read_bool(const Node& node, const std::string& where, Sink& sink, bool& out) {
  if (node.is_bool())
    out = node.as_bool();
  else
    sink.expected(node, where, "true or false");
}

void read_duration(const Node& node, const std::string& where, Sink& sink, Milliseconds& out) {
  if (!node.is_string()) return sink.expected(node, where, "a duration like \"2s\"");
  auto parsed = parse_duration(node.as_string());
  if (!parsed) return sink.add(node.at(), where, parsed.error());
  out = *parsed;
}

void read_size(const Node& node, const std::string& where, Sink& sink, std::uint64_t& out) {
  if (node.is_int() && node.as_int() > 0) {
    out = static_cast<std::uint64_t>(node.as_int());
    return;
  }
  if (!node.is_string()) return sink.expected(node, where, "a size like \"512m\"");
  auto parsed = parse_size(node.as_string());
  if (!parsed) return sink.add(node.at(), where, parsed.error());
  out = *parsed;
}

void read_command(const Node& node, const std::string& where, Sink& sink, CommandSpec& out) {
  Text text;
  if (node.is_string()) {
    if (!read_text(node, where, sink, text)) return;
    if (trim(text.raw).empty()) return sink.add(text.at, where + " is empty");
    out = {true, {std::move(text)}};
    return;
  }
  if (!node.is_array()) return sink.expected(node, where, "a string or an array of strings");
  const Node::Array& words = node.as_array();
  if (words.empty() || words.front().as_string().empty())
    return sink.add(node.at(), where + " is empty");
  out = {};
  read_texts(node, where, sink, out.words);
}

void read_variables(const Node& node, const std::string& where, Sink& sink,
                    std::vector<std::pair<std::string, Text>>& out) {
  if (!node.is_table()) return sink.expected(node, where, "a table of strings");
  for (const auto& [name, value] : node.as_table()) {
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      sink.add(value.key_at(),
               fmt::format("{}: \"{}\" cannot be the name of a variable", where, name));
      continue;
    }
    Text text;
    if (value.is_int())
      text = {std::to_string(value.as_int()), value.at()};  // PORT = 80: the meaning is plain
    else if (value.is_bool())
      text = {value.as_bool() ? "true" : "false", value.at()};
    else if (!read_text(value, fmt::format("{}: {}", where, name), sink, text))
      continue;
    out.emplace_back(name, std::move(text));
  }
}

int read_word(const Node& node, const std::string& where, Sink& sink,
              const std::vector<std::string_view>& names) {
  if (!node.is_string()) return sink.expected(node, where, "a string"), -1;
  const auto found = std::find(names.begin(), names.end(), node.as_string());
  if (found != names.end()) return static_cast<int>(found - names.begin());
  const std::vector<std::string> known(names.begin(), names.end());
  const auto near = did_you_mean(node.as_string(), known);
  sink.add(node.at(),
           fmt::format("{} = \"{}\" is none of {}", where, node.as_string(), join(known, ", ")),
           near ? fmt::format("did you mean \"{}\"?", *near) : std::string());
  return -1;
}

Field text_field(std::string_view name, const KeyText& said, Sink& sink, Text& out) {
  return {name, shapes::text(), said,
          [&sink, &out](const Node& v, const std::string& at) { read_text(v, at, sink, out); }};
}
Field texts_field(std::string_view name, const KeyText& said, Sink& sink, std::vector<Text>& out,
                  bool one_is_fine) {
  return {name, one_is_fine ? shapes::text_or_texts() : shapes::texts(), said,
          [&sink, &out, one_is_fine](const Node& v, const std::string& at) {
            read_texts(v, at, sink, out, one_is_fine);
          }};
}
Field command_field(std::string_view name, const KeyText& said, Sink& sink, CommandSpec& out) {
  return {name, shapes::command(), said,
          [&sink, &out](const Node& v, const std::string& at) { read_command(v, at, sink, out); }};
}
Field bool_field(std::string_view name, const KeyText& said, Sink& sink, bool& out) {
  return {name, shapes::boolean(), said,
          [&sink, &out](const Node& v, const std::string& at) { read_bool(v, at, sink, out); }};
}
Field duration_field(std::string_view name, const KeyText& said, Sink& sink, Milliseconds& out) {
  return {name, shapes::duration(), said,
          [&sink, &out](const Node& v, const std::string& at) { read_duration(v, at, sink, out); }};
}
Field whole_field(std::string_view name, const Shape& shape, const KeyText& said, Sink& sink,
                  int& out) {
  return {name, shape, said, [&sink, &shape, &out](const Node& v, const std::string& at) {
            read_int(v, at, sink, shape.low, shape.high, out);
          }};
}

}  // namespace locald::project
