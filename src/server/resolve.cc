#include "server/resolve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"
#include "builder/volumes.h"
#include "server/dotenv.h"
#include "server/endpoint.h"
#include "server/interpolation.h"

namespace locald::server {
namespace {

constexpr std::size_t kMaxEnvFile = 1u << 20;  // bytes

/// Around the number of a reference, while its text is put together.
constexpr char kLateBegin = '\x01', kLateEnd = '\x02';

/// A regular file only: a FIFO in its place must not hang the server.
Result<std::string> read_env_file(const PathJudge& judge, const std::string& path) {
  return TRY(judge.open(path, PathJudge::Use::look)).read(kMaxEnvFile);
}

class Resolver {
 public:
  explicit Resolver(const ResolveInput& input) : in_(input), judge_(in_.paths, in_.shared) {
    lookup_.variable = [this](const std::string& name) { return variable(name); };
    lookup_.service = [this](const std::string& service,
                             const std::string& field) -> Result<std::string> {
      const Endpoint e = endpoint(service);
      if (field != "host" && e.port == 0)
        return Error(Errc::invalid_input, fmt::format("{} has no port", service));
      if (field == "port") return std::to_string(e.port);
      std::string value = field == "host" ? e.host : e.url();
      if (late_ == nullptr) return value;
      late_->push_back({std::move(value), service, field});
      return fmt::format("{}{}{}", kLateBegin, late_->size() - 1, kLateEnd);
    };
    lookup_.unset = &unset_;
  }

  Resolved run() {
    share();
    for (const ServiceSpec& spec : in_.spec.services) {
      unset_.clear();
      ServiceConfig config = service(spec);
      std::set<std::string> named(unset_.begin(), unset_.end());
      for (const std::string& name : named)
        out_.notices.emplace_back(
            spec.name,
            fmt::format("${{{}}} is not set and counts as empty; ${{{}:-}} says that this is meant",
                        name, name));
      out_.services.emplace(spec.name, std::move(config));
    }
    tell_apart();
    return std::move(out_);
  }

 private:
  /// No link in what any of the services can write to is followed, whichever comes first.
  void share() {
    Lookup lookup = lookup_;
    std::vector<std::string> unset;
    lookup.unset = &unset;
    for (const ServiceSpec& spec : in_.spec.services)
      for (const Text& t : spec.volumes) {
        const auto written = interpolate(t.raw, lookup);
        if (!written) continue;  // its own service says so
        const auto volume = parse_volume(*written, in_.spec.dir, variable("HOME").value_or(""));
        if (volume)
          for (SharedFolder& folder : shared_folders(in_.project, spec.name, {*volume}))
            judge_.add_shared(std::move(folder));
      }
  }

  std::optional<std::string> variable(const std::string& name) const {
    const auto it = in_.user.env.find(name);
    return it == in_.user.env.end() ? std::nullopt : std::optional(it->second);
  }

  Endpoint endpoint(const std::string& service) const {
    Endpoint e;
    const ServiceSpec* spec = in_.spec.find(service);
    if (spec == nullptr) return e;
    e.port = static_cast<std::uint16_t>(spec->any_port());
    if (const auto it = in_.auto_ports.find(service); spec->auto_port && it != in_.auto_ports.end())
      e.port = static_cast<std::uint16_t>(it->second);
    return e;
  }

  void problem(SourcePos at, const Error& error) {
    out_.problems.push_back({in_.spec.file, at, error.message(), error.hint()});
  }

  std::string text(const Text& t) {
    auto value = interpolate(t.raw, lookup_);
    if (value) return std::move(*value);
    problem(t.at, value.error());
    return {};
  }

  /// The same of one that is resolved once more at each start (late_text.h).
  std::string text(const Text& t, LateText::Place place, std::string key, ServiceConfig& out) {
    std::vector<LateText::Piece> references;
    late_ = &references;
    const std::string marked = text(t);
    late_ = nullptr;
    if (references.empty()) return marked;
    LateText late{place, std::move(key), {}};
    std::string plain;
    const auto add = [&](LateText::Piece piece) {
      plain += piece.text;
      if (!piece.text.empty()) late.pieces.push_back(std::move(piece));
    };
    std::size_t from = 0;
    while (true) {
      const std::size_t begin = marked.find(kLateBegin, from);
      const std::size_t end = begin == std::string::npos ? begin : marked.find(kLateEnd, begin);
      if (end == std::string::npos) break;
      const auto index = parse_u64(marked.substr(begin + 1, end - begin - 1));
      add({marked.substr(from, begin - from), {}, {}});
      if (index && *index < references.size())
        add(references[*index]);
      else
        add({marked.substr(begin, end + 1 - begin), {}, {}});  // a value's own
      from = end + 1;
    }
    add({marked.substr(from), {}, {}});
    out.late.push_back(std::move(late));
    return plain;
  }

  std::vector<std::string> command(const ServiceSpec& service, const CommandSpec& spec,
                                   LateText::Place place, ServiceConfig& out) {
    std::vector<std::string> argv;
    if (spec.empty()) return argv;
    if (service.kind == ServiceKind::cnb) {
      // As the launcher wants it: a single word is for its shell. Spec: CNB platform.md#launcher.
      if (!spec.shell) argv = {"--"};
    } else if (spec.shell) {
      argv = {service.kind == ServiceKind::exec ? "sh" : "/bin/sh", "-c"};
    }
    for (const Text& word : spec.words)
      argv.push_back(text(word, place, std::to_string(argv.size()), out));
    return argv;
  }

  std::string in_project(const std::string& path) const {
    if (path.empty()) return in_.spec.dir;
    return path.starts_with("/") ? path : in_.spec.dir + "/" + path;
  }

  void env(const ServiceSpec& spec, ServiceConfig& out) {
    for (const Text& file : spec.env_file) {
      const std::string path = in_project(text(file));
      auto content = read_env_file(judge_, path);
      if (!content) {
        problem(file.at, std::move(content).error().with_context("`env_file`"));
        continue;
      }
      for (DotenvEntry& entry : parse_dotenv(*content, path, lookup_.variable, out_.problems)) {
        std::erase(out.unset, entry.name);
        out.env.erase(entry.name);
        if (entry.value)
          out.env[entry.name] = std::move(*entry.value);
        else
          out.unset.push_back(entry.name);
      }
    }
    for (const auto& [name, value] : spec.env) {
      std::erase(out.unset, name);
      out.env[name] = text(value, LateText::Place::env, name, out);
    }
    if (spec.kind != ServiceKind::container && out.port != 0)
      out.env.emplace("PORT", std::to_string(out.port));
  }

  void health(const ServiceSpec& spec, ServiceConfig& out) {
    const HealthSpec& h = spec.health;
    HealthConfig& c = out.health;
    c.kind = h.kind;
    c.interval = h.interval;
    c.timeout = h.timeout;
    c.start_period = h.start_period;
    c.retries = h.retries;
    c.host = "localhost";  // a service that was told so may have chosen either address
    c.port = out.port;
    if (h.kind == HealthSpec::Kind::log) c.pattern = h.target.raw;
    if (h.kind == HealthSpec::Kind::exec) {
      c.argv = command(spec, h.command, LateText::Place::health, out);
      // In the app's own environment, which the launcher makes.
      if (spec.kind == ServiceKind::cnb) {
        c.argv.insert(c.argv.begin(), std::string(builder::cnb::kLauncher));
        for (LateText& late : out.late)
          if (late.place == LateText::Place::health)
            late.key = std::to_string(parse_u64(late.key).value_or(0) + 1);
      }
    }
    const std::string target =
        h.kind == HealthSpec::Kind::http || h.kind == HealthSpec::Kind::tcp ? text(h.target) : "";
    if (h.kind == HealthSpec::Kind::tcp && !target.empty()) address(target, h.target.at, c, 0);
    if (h.kind != HealthSpec::Kind::http) return;
    c.path = target;
    if (!target.starts_with("http://")) {
      if (!target.starts_with("/"))
        problem(h.target.at,
                Error(Errc::invalid_input,
                      fmt::format("`http` = \"{}\" is neither a path nor an http URL", target)));
    } else {
      const std::string rest = target.substr(7);
      const std::size_t slash = rest.find('/');
      c.path = slash == std::string::npos ? "/" : rest.substr(slash);
      address(rest.substr(0, slash), h.target.at, c, 80);
    }
    // It becomes a line of a request: nothing may end that line early.
    if (std::any_of(c.path.begin(), c.path.end(),
                    [](unsigned char ch) { return ch <= ' ' || ch == 127; }))
      problem(h.target.at, Error(Errc::invalid_input, "`http` holds blanks or control characters")
                               .with_hint("write them as %20"));
  }

  /// "PORT", "HOST:PORT", "[::1]:PORT".
  void address(const std::string& text, SourcePos at, HealthConfig& out, int default_port) {
    std::string host = text;
    std::optional<std::uint64_t> port = parse_u64(text);
    if (port) {
      host.clear();
    } else if (const std::size_t colon = text.rfind(':');
               colon != std::string::npos && !text.ends_with("]")) {
      host = text.substr(0, colon);
      port = parse_u64(text.substr(colon + 1));
    } else if (default_port != 0) {
      port = static_cast<std::uint64_t>(default_port);
    }
    if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
    if (!port || *port == 0 || *port > 65535)
      return problem(at, Error(Errc::invalid_input, fmt::format("\"{}\" has no port", text))
                             .with_hint("write PORT or \"HOST:PORT\""));
    const bool numeric =
        !host.empty() && host.find_first_not_of("0123456789.abcdefABCDEF:") == std::string::npos;
    if (in_.spec.find(host) != nullptr)
      host = endpoint(host).host;
    else if (!host.empty() && host != "localhost" && !numeric)
      return problem(
          at,
          Error(Errc::unsupported,
                fmt::format("health checks of \"{}\": looking up names is not supported yet", host))
              .with_hint("write its address"));
    if (!host.empty()) out.host = host;
    out.port = static_cast<int>(*port);
  }

  void volumes(const ServiceSpec& spec, ServiceConfig& out) {
    const auto keep = [&](const Text& t, Result<VolumeConfig> parsed) {
      if (!parsed) return problem(t.at, parsed.error());
      for (const VolumeConfig& other : out.volumes)
        if (other.target == parsed->target)
          return problem(
              t.at, Error(Errc::invalid_input, fmt::format("two volumes at {}", parsed->target)));
      if (parsed->kind == VolumeConfig::Kind::bind)
        if (auto fine = builder::open_bind(parsed->source, judge_); !fine)
          return problem(t.at, fine.error());
      out.volumes.push_back(std::move(*parsed));
    };
    const std::string home = variable("HOME").value_or("");
    for (const Text& t : spec.volumes) keep(t, parse_volume(text(t), in_.spec.dir, home));
    for (const Text& t : spec.tmpfs) keep(t, parse_tmpfs(text(t)));
  }

  /// name -> folder.
  std::map<std::string, std::string> bindings(
      const std::vector<std::pair<std::string, Text>>& folders) {
    std::map<std::string, std::string> out;
    for (const auto& [name, folder] : folders) {
      out[name] = tidy_path(in_project(text(folder)));
      if (auto fine = builder::open_bind(out[name], judge_); !fine)
        problem(folder.at, std::move(fine).error().with_context("binding " + name));
    }
    return out;
  }

  void app(const ServiceSpec& spec, ServiceConfig& out) {
    const BuildSpec& build = spec.build;
    builder::cnb::AppSpec app;
    app.project = in_.project;
    app.path = tidy_path(in_project(text(build.path)));
    app.builder = text(build.builder);
    app.run_image = text(build.run_image);
    app.base_dir = in_.spec.dir;
    app.pull = to_string(spec.pull);
    for (const auto& [name, value] : build.env) app.env[name] = text(value);
    app.bindings = bindings(build.bindings);
    app.host_ca = build.host_ca;
    app.exec_env = text(build.exec_env);
    app.strict = build.strict;
    app.timeout = build.timeout;
    for (const Text& folder : build.live) {
      const std::string path = app.path + "/" + folder.raw;
      struct stat st {};
      if (::lstat(path.c_str(), &st) != 0)
        problem(folder.at, Error(Errc::not_found, fmt::format("`sync`: there is no {}", path))
                               .with_hint("make that folder, or leave it out of `sync`"));
      else if (S_ISDIR(st.st_mode))
        app.live.push_back(folder.raw);
      else
        problem(folder.at, Error(Errc::invalid_input, fmt::format("`sync`: {} is no folder", path))
                               .with_hint("a single file would stay the old one when an editor "
                                          "replaces it: name a folder"));
    }
    out.bindings = bindings(spec.bindings);
    out.process = text(spec.process);
    for (const Text& word : spec.args)
      out.args.push_back(text(word, LateText::Place::args, std::to_string(out.args.size()), out));
    out.app = std::move(app);
  }

  /// Services that build the same folder with the same builder otherwise are apps of their own:
  /// sharing one, each would undo at every `up` what another has built. The first one by name has
  /// no variant, so that of a lone service, whatever its settings become, the caches count.
  void tell_apart() {
    struct Group {
      builder::cnb::AppSpec app;
      std::string variant;
    };
    std::vector<Group> groups;
    for (auto& [name, config] : out_.services) {
      if (!config.app) continue;
      builder::cnb::AppSpec& app = *config.app;
      const auto beside = [&](const Group& group) {
        return group.app.path == app.path && group.app.builder == app.builder;
      };
      auto own = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& group) { return group.app == app; });
      if (own == groups.end()) {
        const bool first = std::none_of(groups.begin(), groups.end(), beside);
        own = groups.insert(own, {app, first ? "" : name});
      }
      app.variant = own->variant;
    }
  }

  ServiceConfig service(const ServiceSpec& spec) {
    ServiceConfig out;
    out.name = spec.name;
    out.kind = spec.kind;
    out.port = endpoint(spec.name).port;
    out.auto_port = spec.auto_port;
    env(spec, out);
    health(spec, out);
    for (const DependencySpec& d : spec.depends_on) {
      DependsCondition condition = d.condition;
      const ServiceSpec* target = in_.spec.find(d.service);
      if (condition == DependsCondition::ready)
        condition = target != nullptr && target->health.kind != HealthSpec::Kind::none
                        ? DependsCondition::healthy
                        : DependsCondition::started;
      out.depends_on.push_back({d.service, condition});
    }
    out.restart = spec.restart;
    out.stop_signal = spec.stop_signal;
    out.stop_timeout = spec.stop_timeout;
    out.tty = spec.tty;
    out.argv = command(spec, spec.command, LateText::Place::argv, out);
    if (spec.kind == ServiceKind::exec) {
      out.cwd = in_project(text(spec.workdir));
      return out;
    }
    out.pull = spec.pull;
    if (spec.kind == ServiceKind::cnb) {
      app(spec, out);
    } else {
      out.cwd = text(spec.workdir);
      out.image = text(spec.image);
      if (out.image.empty()) problem(spec.image.at, Error(Errc::invalid_input, "`image` is empty"));
      out.entrypoint = command(spec, spec.entrypoint, LateText::Place::entrypoint, out);
    }
    out.user = text(spec.user);
    out.memory = spec.memory;
    out.cpus = spec.cpus;
    out.pids = spec.pids;
    out.init = spec.init;
    volumes(spec, out);
    return out;
  }

  const ResolveInput& in_;
  PathJudge judge_;
  Lookup lookup_;
  std::vector<std::string> unset_;
  std::vector<LateText::Piece>* late_ = nullptr;  // where references of the present text go
  Resolved out_;
};

}  // namespace

Resolved resolve(const ResolveInput& input) { return Resolver(input).run(); }

Result<std::string> project_name(const ProjectSpec& spec, const std::string& override_name) {
  if (!override_name.empty() || !spec.name.empty()) {
    const std::string& name = override_name.empty() ? spec.name : override_name;
    if (!valid_name(name))
      return Error(Errc::invalid_input, fmt::format("\"{}\" cannot be the name of a project", name))
          .with_hint("small letters, digits, - and _, at most 63, a letter or digit first");
    return name;
  }
  std::string name;
  for (const char c : to_lower(spec.dir.substr(spec.dir.rfind('/') + 1))) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (good && (!name.empty() || (c != '_' && c != '-')))
      name += c;
    else if (!good && !name.empty() && name.back() != '-')
      name += '-';
  }
  if (name.size() > 63) name.resize(63);
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (!valid_name(name))
    return Error(Errc::invalid_input,
                 fmt::format("no name for a project can be made of the folder {}", spec.dir))
        .with_hint("write one:\n  [project]\n  name = \"shop\"");
  return name;
}

Json redacted(const ServiceConfig& config) {
  ServiceConfig shown = config;
  for (auto& [name, value] : shown.env) value = "…";
  if (shown.app)
    for (auto& [name, value] : shown.app->env) value = "…";
  return shown.to_json();
}

}  // namespace locald::server
