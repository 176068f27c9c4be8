#include "server/toml_front.h"

#define TOML_EXCEPTIONS 0   // errors are values here
#define TOML_HEADER_ONLY 1  // the shared library is built with exceptions
#include <fmt/format.h>
#include <toml++/toml.h>

#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <initializer_list>

#include "base/fs_at.h"
#include "base/signals.h"
#include "base/strings.h"
#include "server/units.h"
#include "server/user_config.h"

namespace locald::server {
namespace {

SourcePos pos_of(const toml::node& node) {
  return {static_cast<unsigned>(node.source().begin.line),
          static_cast<unsigned>(node.source().begin.column)};
}
SourcePos pos_of(const toml::key& key) {
  return {static_cast<unsigned>(key.source().begin.line),
          static_cast<unsigned>(key.source().begin.column)};
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date";
  }
}

/// What all readers write to.
struct Sink {
  const std::string& file;
  Problems& problems;
  void add(SourcePos at, std::string message, std::string hint = {}) {
    problems.push_back({file, at, std::move(message), std::move(hint)});
  }
  void add(SourcePos at, const std::string& where, const Error& error) {
    add(at, fmt::format("{}: {}", where, error.message()), error.hint());
  }
  void expected(const toml::node& node, const std::string& where, std::string_view what) {
    add(pos_of(node), fmt::format("{} must be {}, not {}", where, what, kind_of(node)));
  }
};

/// One key of a table: what may stand there is said by the function that reads it.
struct Field {
  std::string_view name;
  std::function<void(const toml::node&, const std::string& where)> read;
};
/// A key that is known but refused, with what to say.
struct Refused {
  std::string_view name;
  std::string_view message;
};

/// Reads every key of `table`; the unknown ones are problems.
void read_table(const toml::table& table, const std::string& where, Sink& sink,
                const std::vector<Field>& fields, const std::vector<Refused>& refused = {}) {
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
    if (field != fields.end()) {
      field->read(node, fmt::format("`{}`", name));
      continue;
    }
    const auto no = std::find_if(refused.begin(), refused.end(),
                                 [&](const Refused& r) { return r.name == name; });
    if (no != refused.end()) {
      sink.add(pos_of(key), fmt::format("`{}` {}", name, no->message));
      continue;
    }
    std::vector<std::string> known;
    for (const Field& f : fields) known.emplace_back(f.name);
    std::string hint;
    if (const auto near = did_you_mean(name, known)) {
      hint = fmt::format("did you mean `{}`?", *near);
    } else {
      std::sort(known.begin(), known.end());
      hint = "known here: " + join(known, ", ");
    }
    sink.add(pos_of(key), fmt::format("unknown key `{}` in {}", name, where), hint);
  }
}

bool read_text(const toml::node& node, const std::string& where, Sink& sink, Text& out) {
  const auto* value = node.as_string();
  if (value == nullptr) return sink.expected(node, where, "a string"), false;
  if (value->get().find('\0') != std::string::npos)
    return sink.add(pos_of(node), where + " holds a NUL byte"), false;
  out = {value->get(), pos_of(node)};
  return true;
}

void read_texts(const toml::node& node, const std::string& where, Sink& sink,
                std::vector<Text>& out, bool one_is_fine = false) {
  Text text;
  if (one_is_fine && node.is_string()) {
    if (read_text(node, where, sink, text)) out.push_back(std::move(text));
    return;
  }
  const auto* array = node.as_array();
  if (array == nullptr) return sink.expected(node, where, "an array of strings");
  for (const toml::node& item : *array)
    if (read_text(item, where, sink, text)) out.push_back(text);
}

bool read_int(const toml::node& node, const std::string& where, Sink& sink, std::int64_t low,
              std::int64_t high, int& out) {
  const auto* value = node.as_integer();
  if (value == nullptr) return sink.expected(node, where, "a whole number"), false;
  if (value->get() < low || value->get() > high)
    return sink.add(pos_of(node), fmt::format("{} must be between {} and {}, not {}", where, low,
                                              high, value->get())),
           false;
  out = static_cast<int>(value->get());
  return true;
}

void read_bool(const toml::node& node, const std::string& where, Sink& sink, bool& out) {
  if (const auto* value = node.as_boolean())
    out = value->get();
  else
    sink.expected(node, where, "true or false");
}

void read_duration(const toml::node& node, const std::string& where, Sink& sink,
                   Milliseconds& out) {
  const auto* value = node.as_string();
  if (value == nullptr) return sink.expected(node, where, "a duration like \"2s\"");
  auto parsed = parse_duration(value->get());
  if (!parsed) return sink.add(pos_of(node), where, parsed.error());
  out = *parsed;
}

void read_command(const toml::node& node, const std::string& where, Sink& sink, CommandSpec& out) {
  Text text;
  if (node.is_string()) {
    if (!read_text(node, where, sink, text)) return;
    if (trim(text.raw).empty()) return sink.add(text.at, where + " is empty");
    out = {true, {std::move(text)}};
    return;
  }
  const auto* array = node.as_array();
  if (array == nullptr) return sink.expected(node, where, "a string or an array of strings");
  if (array->empty() || !array->front().is_string() || array->front().as_string()->get().empty())
    return sink.add(pos_of(node), where + " is empty");
  out = {};
  read_texts(node, where, sink, out.words);
}

template <typename T>
void read_choice(const toml::node& node, const std::string& where, Sink& sink,
                 std::initializer_list<std::pair<std::string_view, T>> choices, T& out) {
  const auto* value = node.as_string();
  if (value == nullptr) return sink.expected(node, where, "a string");
  std::vector<std::string> names;
  for (const auto& [name, meaning] : choices) {
    if (value->get() == name) {
      out = meaning;
      return;
    }
    names.emplace_back(name);
  }
  const auto near = did_you_mean(value->get(), names);
  sink.add(pos_of(node),
           fmt::format("{} = \"{}\" is none of {}", where, value->get(), join(names, ", ")),
           near ? fmt::format("did you mean \"{}\"?", *near) : std::string());
}

void read_env(const toml::node& node, const std::string& where, Sink& sink,
              std::vector<std::pair<std::string, Text>>& out) {
  const auto* table = node.as_table();
  if (table == nullptr) return sink.expected(node, where, "a table of strings");
  for (const auto& [key, value] : *table) {
    const std::string name(key.str());
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      sink.add(pos_of(key),
               fmt::format("{}: \"{}\" cannot be the name of a variable", where, name));
      continue;
    }
    Text text;
    if (const auto* number = value.as_integer())
      text = {std::to_string(number->get()), pos_of(value)};  // PORT = 80: the meaning is plain
    else if (const auto* flag = value.as_boolean())
      text = {flag->get() ? "true" : "false", pos_of(value)};
    else if (!read_text(value, fmt::format("{}: {}", where, name), sink, text))
      continue;
    out.emplace_back(name, std::move(text));
  }
}

void read_depends(const toml::node& node, const std::string& where, Sink& sink,
                  std::vector<DependencySpec>& out) {
  if (const auto* array = node.as_array()) {
    for (const toml::node& item : *array) {
      Text text;
      if (read_text(item, where, sink, text))
        out.push_back({text.raw, DependsCondition::ready, text.at});
    }
    return;
  }
  const auto* table = node.as_table();
  if (table == nullptr)
    return sink.expected(node, where, "a list of services or a table SERVICE = \"healthy\"");
  for (const auto& [key, value] : *table) {
    DependencySpec edge{std::string(key.str()), DependsCondition::ready, pos_of(key)};
    read_choice<DependsCondition>(value, fmt::format("{}: {}", where, edge.service), sink,
                                  {{"started", DependsCondition::started},
                                   {"healthy", DependsCondition::healthy},
                                   {"completed", DependsCondition::completed}},
                                  edge.condition);
    out.push_back(std::move(edge));
  }
}

void read_restart(const toml::node& node, const std::string& where, Sink& sink, RestartSpec& out) {
  const auto mode = [&](const toml::node& value, const std::string& at) {
    read_choice<RestartMode>(value, at, sink,
                             {{"no", RestartMode::no},
                              {"on-failure", RestartMode::on_failure},
                              {"always", RestartMode::always},
                              {"unless-stopped", RestartMode::unless_stopped}},
                             out.mode);
  };
  if (node.is_string()) return mode(node, where);
  const auto* table = node.as_table();
  if (table == nullptr)
    return sink.expected(node, where, "a string or a table { policy, max, window }");
  read_table(*table, "`restart`", sink,
             {{"policy", mode},
              {"max", [&](const toml::node& v,
                          const std::string& at) { read_int(v, at, sink, 0, 1000000, out.max); }},
              {"window", [&](const toml::node& v, const std::string& at) {
                 read_duration(v, at, sink, out.window);
               }}});
  if (!table->contains("policy"))
    sink.add(pos_of(node), "`restart` needs a `policy`",
             "for example { policy = \"on-failure\", max = 5 }");
}

void read_health(const toml::node& node, const std::string& where, Sink& sink, HealthSpec& out) {
  out.at = pos_of(node);
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
  const auto* table = node.as_table();
  if (table == nullptr)
    return sink.expected(node, where, "a path, or a table like { http = \"/healthz\" }");
  read_table(
      *table, "`health`", sink,
      {{"http",
        [&](const toml::node& v, const std::string& at) {
          kind(HealthSpec::Kind::http);
          read_text(v, at, sink, out.target);
        }},
       {"tcp",
        [&](const toml::node& v, const std::string& at) {
          kind(HealthSpec::Kind::tcp);
          int port = 0;
          if (v.is_string())
            read_text(v, at, sink, out.target);
          else if (v.is_integer() && read_int(v, at, sink, 1, 65535, port))
            out.target = {std::to_string(port), pos_of(v)};
          else if (const auto* flag = v.as_boolean(); flag != nullptr && !flag->get())
            sink.add(pos_of(v), "`tcp` = false says nothing", "leave `health` away for no check");
          else if (!v.is_integer() && flag == nullptr)
            sink.expected(v, at, "a port, \"host:port\" or true");
        }},
       {"exec",
        [&](const toml::node& v, const std::string& at) {
          kind(HealthSpec::Kind::exec);
          read_command(v, at, sink, out.command);
        }},
       {"log",
        [&](const toml::node& v, const std::string& at) {
          kind(HealthSpec::Kind::log);
          read_text(v, at, sink, out.target);
        }},
       {"notify",
        [&](const toml::node& v, const std::string& at) {
          kind(HealthSpec::Kind::notify);
          bool on = false;
          read_bool(v, at, sink, on);
          if (!on)
            sink.add(pos_of(v), "`notify` can only be true", "leave `health` away for no check");
        }},
       {"interval", [&](const toml::node& v,
                        const std::string& at) { read_duration(v, at, sink, out.interval); }},
       {"timeout", [&](const toml::node& v,
                       const std::string& at) { read_duration(v, at, sink, out.timeout); }},
       {"start_period",
        [&](const toml::node& v, const std::string& at) {
          read_duration(v, at, sink, out.start_period);
        }},
       {"retries", [&](const toml::node& v, const std::string& at) {
          read_int(v, at, sink, 1, 1000, out.retries);
        }}});
  if (kinds == 0)
    sink.add(out.at, "`health` says no way to check", "one of http, tcp, exec, log or notify");
  if (kinds > 1)
    sink.add(out.at, "`health` says several ways to check",
             "one of http, tcp, exec, log or notify");
  for (const auto& [name, value] :
       {std::pair{"interval", out.interval}, std::pair{"timeout", out.timeout}})
    if (value.count() <= 0) sink.add(out.at, fmt::format("`{}` must be more than nothing", name));
}

void read_size(const toml::node& node, const std::string& where, Sink& sink, std::uint64_t& out) {
  if (const auto* number = node.as_integer(); number != nullptr && number->get() > 0) {
    out = static_cast<std::uint64_t>(number->get());
    return;
  }
  const auto* value = node.as_string();
  if (value == nullptr) return sink.expected(node, where, "a size like \"512m\"");
  auto parsed = parse_size(value->get());
  if (!parsed) return sink.add(pos_of(node), where, parsed.error());
  out = *parsed;
}

void read_service(const std::string& name, const toml::table& table, Sink& sink, ServiceSpec& out) {
  out.name = name;
  const std::string title = fmt::format("[services.{}]", name);
  if (const auto* type = table.get("type"))
    read_choice<ServiceKind>(*type, "`type`", sink,
                             {{"exec", ServiceKind::exec},
                              {"container", ServiceKind::container},
                              {"cnb", ServiceKind::cnb}},
                             out.kind);
  if (out.kind == ServiceKind::cnb)
    return sink.add(pos_of(*table.get("type")), "`type` = \"cnb\" is not supported yet",
                    "this version runs type = \"exec\" and type = \"container\"");

  const auto text = [&](Text& target) {
    return [&sink, &target](const toml::node& v, const std::string& at) {
      read_text(v, at, sink, target);
    };
  };
  const auto command = [&](CommandSpec& target) {
    return [&sink, &target](const toml::node& v, const std::string& at) {
      read_command(v, at, sink, target);
    };
  };
  std::vector<Field> fields{
      {"type", [](const toml::node&, const std::string&) {}},
      {"command", command(out.command)},
      {"workdir", text(out.workdir)},
      {"port",
       [&](const toml::node& v, const std::string& at) {
         out.port_at = pos_of(v);
         if (v.is_string() && v.as_string()->get() == "auto")
           out.auto_port = true;
         else if (v.is_string())
           sink.add(pos_of(v), "`port` must be a number or \"auto\"");
         else
           read_int(v, at, sink, 1, 65535, out.port);
       }},
      {"env", [&](const toml::node& v, const std::string& at) { read_env(v, at, sink, out.env); }},
      {"env_file",
       [&](const toml::node& v, const std::string& at) {
         read_texts(v, at, sink, out.env_file, /*one_is_fine=*/true);
       }},
      {"depends_on", [&](const toml::node& v,
                         const std::string& at) { read_depends(v, at, sink, out.depends_on); }},
      {"health",
       [&](const toml::node& v, const std::string& at) { read_health(v, at, sink, out.health); }},
      {"restart",
       [&](const toml::node& v, const std::string& at) { read_restart(v, at, sink, out.restart); }},
      {"stop_signal",
       [&](const toml::node& v, const std::string& at) {
         Text word;
         if (!read_text(v, at, sink, word)) return;
         auto signal = parse_signal(word.raw);
         if (!signal) return sink.add(word.at, at, signal.error());
         out.stop_signal = *signal;
       }},
      {"stop_timeout",
       [&](const toml::node& v, const std::string& at) {
         read_duration(v, at, sink, out.stop_timeout);
       }},
      {"tty", [&](const toml::node& v, const std::string& at) { read_bool(v, at, sink, out.tty); }},
      {"network",
       [&](const toml::node& v, const std::string& at) {
         bool host = false;
         read_choice<bool>(v, at, sink, {{"host", true}, {"project", false}, {"none", false}},
                           host);
         if (v.is_string() && !host &&
             (v.as_string()->get() == "project" || v.as_string()->get() == "none"))
           sink.add(pos_of(v),
                    fmt::format("`network` = \"{}\" is not supported yet", v.as_string()->get()),
                    "\"host\" is what there is");
       }},
  };
  std::vector<Refused> refused{{"build", "is not supported yet"},
                               {"dev", "is not supported yet"},
                               {"ports",
                                "is not needed: the network is the host's, so say "
                                "`container_port`, the port the container listens on"}};
  const std::vector<Field> container{
      {"image", text(out.image)},
      {"pull",
       [&](const toml::node& v, const std::string& at) {
         read_choice<PullPolicy>(v, at, sink,
                                 {{"missing", PullPolicy::missing},
                                  {"always", PullPolicy::always},
                                  {"never", PullPolicy::never}},
                                 out.pull);
       }},
      {"entrypoint", command(out.entrypoint)},
      {"container_port",
       [&](const toml::node& v, const std::string& at) {
         if (read_int(v, at, sink, 1, 65535, out.container_port)) out.port_at = pos_of(v);
       }},
      {"volumes",
       [&](const toml::node& v, const std::string& at) { read_texts(v, at, sink, out.volumes); }},
      {"tmpfs",
       [&](const toml::node& v, const std::string& at) {
         read_texts(v, at, sink, out.tmpfs, /*one_is_fine=*/true);
       }},
      {"user", text(out.user)},
      {"memory",
       [&](const toml::node& v, const std::string& at) { read_size(v, at, sink, out.memory); }},
      {"cpus",
       [&](const toml::node& v, const std::string& at) {
         const auto number = v.value<double>();
         if (!number || *number <= 0 || *number > 100000)
           return sink.expected(v, at, "a number above 0");
         out.cpus = *number;
       }},
      {"pids", [&](const toml::node& v,
                   const std::string& at) { read_int(v, at, sink, 1, 4194304, out.pids); }},
  };
  static constexpr std::string_view kCnbKeys[] = {"path", "builder", "run_image", "process"};
  for (const std::string_view key : kCnbKeys)
    refused.push_back({key, "is for type = \"cnb\", which is not supported yet"});
  if (out.kind == ServiceKind::container) {
    fields.insert(fields.end(), container.begin(), container.end());
    refused.push_back({"init", "is not supported yet"});
  } else {
    for (const Field& f : container) refused.push_back({f.name, "is for type = \"container\""});
    refused.push_back({"init", "is for type = \"container\", and not supported yet"});
  }
  read_table(table, title, sink, fields, refused);

  if (out.kind == ServiceKind::exec && !table.contains("command"))
    sink.add(out.at, fmt::format("{} has no `command`", title),
             table.contains("image") ? "an image needs type = \"container\"" : "");
  if (out.kind == ServiceKind::container && !table.contains("image"))
    sink.add(out.at, fmt::format("{} has no `image`", title));
}

void read_project(const toml::table& root, Sink& sink, ProjectSpec& spec) {
  read_table(root, "the file", sink,
             {{"project",
               [&](const toml::node& node, const std::string& where) {
                 const auto* table = node.as_table();
                 if (table == nullptr) return sink.expected(node, where, "a table");
                 read_table(*table, "[project]", sink,
                            {{"name", [&](const toml::node& v, const std::string& at) {
                                Text text;
                                if (!read_text(v, at, sink, text)) return;
                                spec.name = text.raw;
                                spec.name_at = text.at;
                              }}});
               }},
              {"services", [&](const toml::node& node, const std::string& where) {
                 const auto* table = node.as_table();
                 if (table == nullptr) return sink.expected(node, where, "a table");
                 for (const auto& [key, value] : *table) {
                   const auto* service = value.as_table();
                   if (service == nullptr) {
                     sink.expected(value, fmt::format("`services.{}`", key.str()), "a table");
                     continue;
                   }
                   ServiceSpec& out = spec.services.emplace_back();
                   out.at = pos_of(value).line != 0 ? pos_of(value) : pos_of(key);
                   read_service(std::string(key.str()), *service, sink, out);
                 }
               }}});
}

}  // namespace

Result<UserConfig> load_user_config(const std::string& path) {
  UserConfig config;
  auto text = read_file(path, 1u << 20);
  if (!text) {
    if (text.error().code() == Errc::not_found) return config;
    return std::move(text).error();
  }
  Problems problems;
  Sink sink{path, problems};
  const toml::parse_result parsed = toml::parse(std::string_view(*text), std::string_view(path));
  if (!parsed)
    sink.add({static_cast<unsigned>(parsed.error().source().begin.line),
              static_cast<unsigned>(parsed.error().source().begin.column)},
             "not TOML: " + std::string(parsed.error().description()));
  else
    read_table(parsed.table(), "the file", sink,
               {{"runtime", [&](const toml::node& v, const std::string& at) {
                   Text word;
                   if (read_text(v, at, sink, word)) config.runtime = word.raw;
                 }}});
  if (!problems.empty()) return Error(Errc::invalid_input, describe(problems));
  return config;
}

std::string program_search_path() {
  const char* env = ::getenv("PATH");
  std::vector<std::string> folders =
      split(env != nullptr && *env != '\0' ? env : "/usr/local/bin:/usr/bin:/bin", ':');
  for (std::size_t i = 0, n = folders.size(); i < n; ++i)
    if (folders[i].ends_with("/bin"))
      folders.push_back(folders[i].substr(0, folders[i].size() - 3) + "sbin");
  return join(folders, ":");
}

ParsedProject parse_project_toml(std::string_view text, const std::string& file) {
  ParsedProject out;
  out.spec.file = file;
  out.spec.dir = file.substr(0, file.rfind('/'));
  if (out.spec.dir.empty()) out.spec.dir = "/";
  Sink sink{file, out.problems};
  const toml::parse_result parsed = toml::parse(text, std::string_view(file));
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    sink.add({static_cast<unsigned>(error.source().begin.line),
              static_cast<unsigned>(error.source().begin.column)},
             "not TOML: " + std::string(error.description()));
    return out;
  }
  read_project(parsed.table(), sink, out.spec);
  std::stable_sort(out.problems.begin(), out.problems.end(),
                   [](const Problem& a, const Problem& b) {
                     return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
                   });
  return out;
}

}  // namespace locald::server
