#include "project/resolve/resolve.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "builder/limits.h"
#include "builder/mount_plan.h"
#include "builder/user_lookup.h"
#include "builder/volumes.h"
#include "cnb/build/build_inputs.h"
#include "net/endpoint.h"
#include "oci/ref/reference.h"
#include "project/resolve/dotenv.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/workdir.h"

namespace locald::project {
namespace {

constexpr std::size_t kMaxEnvFile = 1u << 20;       // bytes
constexpr std::size_t kMaxProjectText = 64u << 20;  // bytes, of all services together
constexpr std::size_t kMaxVolumes = 1000;           // of a service

/// Around the number of a reference, while its text is put together.
constexpr char kLateBegin = '\x01', kLateEnd = '\x02';

/// The one place where a file that the project names is opened for its text. A regular file only: a
/// FIFO in its place must not hang the server.
Result<std::string> read_env_file(const PathJudge& judge, const std::string& path) {
  return TRY(judge.open(path, PathJudge::Use::look)).read(kMaxEnvFile);
}

/// `.env` beside the project file; a folder of that name is something else's (a Python
/// environment).
Result<std::string> read_dotenv(const PathJudge& judge, const std::string& path) {
  const JudgedPath file = TRY(judge.open(path, PathJudge::Use::look));
  if (file.is_folder()) return Error(Errc::not_found, path + " is a folder");
  return file.read(kMaxEnvFile);
}

class Resolver {
 public:
  explicit Resolver(const ResolveInput& input)
      : in_(input),
        judge_(in_.paths, in_.shared),
        variables_(Variables::Input{
            .env = input.user.env,
            .dotenv = input.spec.dir + "/.env",
            .captured = input.captured,
            .refresh = input.refresh,
            .read = [this](const std::string& path) { return read_dotenv(judge_, path); }}) {
    lookup_.variable = [this](const std::string& name) { return variables_.value(name); };
    lookup_.service = [this](const std::string& service,
                             const std::string& field) -> Result<std::string> {
      const net::Endpoint e = endpoint(service);
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
    std::size_t room = kMaxProjectText;
    for (const ServiceSpec& spec : in_.spec.services) {
      if (out_.problems.size() >= kMaxProblems) break;
      if (room < kMaxServiceText) {
        problem(spec.at,
                Error(Errc::invalid_input,
                      fmt::format("the values of the services up to here come to {} MiB; those of "
                                  "a project may come to that",
                                  kMaxProjectText >> 20))
                    .with_hint("pass the names of files"));
        break;
      }
      spec_ = &spec;
      room_ = kMaxServiceText;
      ServiceConfig config = service(spec);
      room -= kMaxServiceText - room_;
      out_.services.emplace(spec.name, std::move(config));
    }
    tell_apart();
    variables_.problems(out_.problems, in_.project);
    sort_by_place(out_.problems);
    for (auto& notice : variables_.notices()) out_.notices.push_back(std::move(notice));
    out_.capture = variables_.capture();
    return std::move(out_);
  }

 private:
  /// No link in what any of the services can write to is followed, whichever comes first.
  void share() {
    Lookup lookup = lookup_;
    std::vector<std::string> unset;
    lookup.unset = &unset;
    for (const ServiceSpec& spec : in_.spec.services)
      for (const VolumeSpec& v : spec.volumes) {
        variables_.at(spec.name, in_.spec.file, v.at);
        const auto volume = [&]() -> Result<VolumeConfig> {  // what is wrong its own service says
          const auto home = [&] { return variables_.value("HOME").value_or(""); };
          std::vector<std::string> notices;
          if (!v.text.empty())
            return builder::parse_volume(TRY(interpolate(v.text.raw, lookup)), in_.spec.dir, home,
                                         notices);
          VolumeConfig out =
              TRY(builder::volume_of(TRY(interpolate(v.source.raw, lookup)),
                                     TRY(interpolate(v.target.raw, lookup)), in_.spec.dir, home));
          out.read_only = v.read_only;
          return out;
        }();
        if (volume)
          for (SharedFolder& folder : shared_folders(in_.project, spec.name, {*volume}))
            judge_.add_shared(std::move(folder));
      }
  }

  net::Endpoint endpoint(const std::string& service) const {
    net::Endpoint e;
    const ServiceSpec* spec = in_.spec.find(service);
    if (spec == nullptr) return e;
    e.port = static_cast<std::uint16_t>(spec->any_port());
    if (const auto it = in_.auto_ports.find(service); spec->auto_port && it != in_.auto_ports.end())
      e.port = static_cast<std::uint16_t>(it->second);
    return e;
  }

  void problem(SourcePos at, const Error& error) {
    if (failed(at)) return;  // what follows from a text without a value
    out_.problems.push_back({in_.spec.file, at, error.message(), error.hint()});
  }

  bool failed(SourcePos at) const { return failed_.contains({at.line, at.column}); }

  enum class Use { plain, command };
  /// The text with everything replaced; "" after a problem.
  std::string text(const Text& t, Use use = Use::plain) {
    if (room_ == 0 || t.empty()) return {};
    unset_.clear();
    variables_.at(spec_->name, in_.spec.file, t.at);
    auto value = interpolate(t.raw, lookup_);
    if (!value)
      problem(t.at, value.error());
    else if (!unset_.empty())
      not_set(t, use);
    else if (value->size() >= room_)
      problem(t.at, no_room());
    else
      return room_ -= value->size(), std::move(*value);
    failed_.emplace(t.at.line, t.at.column);
    return {};
  }

  /// The same of one that is resolved once more at each start (late_text.h).
  std::string text(const Text& t, Use use, LateText::Place place, std::string key,
                   ServiceConfig& out) {
    std::vector<LateText::Piece> references;
    late_ = &references;
    const std::string marked = text(t, use);
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

  Error no_room() {
    room_ = 0;
    return Error(Errc::invalid_input, fmt::format("{}: its values grow beyond {} MiB", spec_->name,
                                                  kMaxServiceText >> 20))
        .with_hint("no process can be given more: pass the name of a file");
  }

  void not_set(const Text& t, Use use) {
    for (const std::string& name : std::set<std::string>(unset_.begin(), unset_.end())) {
      std::string hint = fmt::format(
          "set it in the environment of `locald up` or in {}/.env, or write ${{{}:-}} where it may "
          "be empty",
          in_.spec.dir, name);
      if (use == Use::command)
        hint +=
            fmt::format("; a variable of the command's own shell is ${} or $${{{}}}", name, name);
      problem(t.at, Error(Errc::invalid_input, fmt::format("${{{}}} is not set", name))
                        .with_hint(std::move(hint)));
    }
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
      argv.push_back(text(word, Use::command, place, std::to_string(argv.size()), out));
    return argv;
  }

  std::string in_project(const std::string& path) const {
    if (path.empty()) return in_.spec.dir;
    return path.starts_with("/") ? path : in_.spec.dir + "/" + path;
  }

  void env(const ServiceSpec& spec, ServiceConfig& out) {
    std::map<std::string, std::size_t> unset;  // name -> its turn
    std::size_t turn = 0;
    for (const Text& file : spec.env_file) {
      const std::string path = in_project(text(file));
      if (room_ == 0) break;
      auto content = read_env_file(judge_, path);
      if (!content) {
        problem(file.at, std::move(content).error().with_context("`env_file`"));
        continue;
      }
      variables_.at(spec.name, in_.spec.file, file.at);
      for (DotenvEntry& entry :
           parse_dotenv(*content, path, lookup_.variable, out_.problems, &room_)) {
        for (std::string& notice : vanished_notices(entry, path, told_))
          out_.notices.emplace_back(spec.name, std::move(notice));
        unset.erase(entry.name);
        out.env.erase(entry.name);
        if (entry.value)
          out.env[entry.name] = std::move(*entry.value);
        else
          unset[entry.name] = turn++;
      }
    }
    for (const auto& [name, value] : spec.env) unset.erase(name);
    std::map<std::size_t, std::string> in_turn;
    for (const auto& [name, when] : unset) in_turn[when] = name;
    for (auto& [when, name] : in_turn) out.unset.push_back(std::move(name));
    for (const auto& [name, value] : spec.env)
      out.env[name] = text(value, Use::plain, LateText::Place::env, name, out);
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
        c.argv.insert(c.argv.begin(), std::string(cnb::kLauncher));
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

  /// What the file alone can tell about the places of mounts, as the start will look at them.
  static Result<void> check_target(const VolumeConfig& volume) {
    builder::ContainerOptions options;
    options.mounts.push_back({.kind = builder::VolumeMount::Kind::tmpfs, .target = volume.target});
    (void)TRY(builder::MountPlan::make(options, {}));
    return {};
  }

  void volumes(const ServiceSpec& spec, ServiceConfig& out) {
    std::set<std::string> targets;
    const auto keep = [&](SourcePos at, Result<VolumeConfig> parsed) {
      if (!parsed) return problem(at, parsed.error());
      if (!targets.insert(parsed->target).second)
        return problem(
            at, Error(Errc::invalid_input, fmt::format("two volumes at {}", parsed->target)));
      if (auto fine = check_target(*parsed); !fine) return problem(at, fine.error());
      if (parsed->kind == VolumeConfig::Kind::bind)
        if (auto fine = builder::open_bind(parsed->source, judge_); !fine)
          return problem(at, fine.error());
      out.volumes.push_back(std::move(*parsed));
    };
    if (spec.volumes.size() + spec.tmpfs.size() > kMaxVolumes)
      return problem(spec.at, Error(Errc::invalid_input, fmt::format("{} has more than {} volumes",
                                                                     spec.name, kMaxVolumes)));
    for (const VolumeSpec& v : spec.volumes) {
      const auto home = [&] {
        variables_.at(spec.name, in_.spec.file, v.at);
        return variables_.value("HOME").value_or("");
      };
      std::vector<std::string> notices;
      if (!v.text.empty()) {
        keep(v.at, builder::parse_volume(text(v.text), in_.spec.dir, home, notices));
      } else {
        const std::string source = text(v.source), target = text(v.target);
        if (failed(v.source.at) || failed(v.target.at)) continue;
        Result<VolumeConfig> volume = builder::volume_of(source, target, in_.spec.dir, home);
        if (volume) volume->read_only = v.read_only;
        keep(v.at, std::move(volume));
      }
      for (std::string& notice : notices) out_.notices.emplace_back(spec.name, std::move(notice));
    }
    for (const Text& t : spec.tmpfs) keep(t.at, builder::parse_tmpfs(text(t)));
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

  /// A reference that can be read; "" where none is given.
  std::string image(const Text& t, std::string_view what) {
    std::string name = text(t);
    if (name.empty()) return name;
    if (auto reference = oci::ImageReference::parse(name, in_.spec.dir); !reference)
      problem(t.at, std::move(reference).error().with_context(what));
    return name;
  }

  void app(const ServiceSpec& spec, ServiceConfig& out) {
    const BuildSpec& build = spec.build;
    cnb::AppSpec app;
    app.project = in_.project;
    app.path = tidy_path(in_project(text(build.path)));
    app.base_dir = in_.spec.dir;
    if (auto folder = cnb::open_source(judge_, app); !folder)
      problem(build.path.empty() ? spec.at : build.path.at, folder.error());
    app.builder = image(build.builder, "builder");
    app.run_image = image(build.run_image, "run image");
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
                               .with_hint("create that folder, or leave it out of `sync`"));
      else if (S_ISDIR(st.st_mode))
        app.live.push_back(folder.raw);
      else
        problem(folder.at,
                Error(Errc::invalid_input, fmt::format("`sync`: {} is not a folder", path))
                    .with_hint("a single file would stay the old one when an editor "
                               "replaces it: name a folder"));
    }
    out.bindings = bindings(spec.bindings);
    out.process = text(spec.process);
    for (const Text& word : spec.args)
      out.args.push_back(
          text(word, Use::plain, LateText::Place::args, std::to_string(out.args.size()), out));
    out.app = std::move(app);
  }

  /// Services that build the same folder with the same builder otherwise are apps of their own:
  /// sharing one, each would undo at every `up` what another has built. The first one by name has
  /// no variant, so that of a lone service, whatever its settings become, the caches count.
  void tell_apart() {
    struct Group {
      cnb::AppSpec app;
      std::string variant;
    };
    std::vector<Group> groups;
    for (auto& [name, config] : out_.services) {
      if (!config.app) continue;
      cnb::AppSpec& app = *config.app;
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
      if (auto there = open_workdir(out.cwd, judge_); !there)
        problem(spec.workdir.empty() ? spec.at : spec.workdir.at, there.error());
      return out;
    }
    out.pull = spec.pull;
    if (spec.kind == ServiceKind::cnb) {
      app(spec, out);
    } else {
      out.cwd = text(spec.workdir);
      builder::ContainerOptions options;
      options.workdir = out.cwd;
      if (auto plan = builder::MountPlan::make(options, {}); !plan)
        problem(spec.workdir.at, plan.error());
      out.image = image(spec.image, "image");
      if (out.image.empty()) problem(spec.image.at, Error(Errc::invalid_input, "`image` is empty"));
      out.entrypoint = command(spec, spec.entrypoint, LateText::Place::entrypoint, out);
    }
    out.user = text(spec.user);
    if (auto good = builder::check_user(out.user); !good) problem(spec.user.at, good.error());
    out.memory = spec.memory;
    out.cpus = spec.cpus;
    out.pids = spec.pids;
    out.init = spec.init;
    if (auto fine =
            builder::check_minimum({.memory_bytes = some(out.memory), .cpus = some(out.cpus)});
        !fine)
      problem(spec.at, fine.error());
    volumes(spec, out);
    return out;
  }

  template <typename T>
  static std::optional<T> some(T value) {
    return value != 0 ? std::optional(value) : std::nullopt;
  }

  const ResolveInput& in_;
  PathJudge judge_;
  Variables variables_;
  Lookup lookup_;
  std::vector<LateText::Piece>* late_ = nullptr;    // where references of the present text go
  const ServiceSpec* spec_ = nullptr;               // the one at work
  std::size_t room_ = 0;                            // bytes that its values may still take
  std::vector<std::string> unset_;                  // of the text at work
  std::set<std::string> told_;                      // names that env files have no value for
  std::set<std::pair<unsigned, unsigned>> failed_;  // places of texts that have no value
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
                 fmt::format("the name of the folder {} cannot become a project name", spec.dir))
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

}  // namespace locald::project
