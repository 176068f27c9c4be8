#include "project/resolve/resolve.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "builder/capabilities.h"
#include "builder/limits.h"
#include "builder/mount_plan.h"
#include "builder/user_lookup.h"
#include "builder/volumes.h"
#include "cnb/build/build_inputs.h"
#include "net/endpoint.h"
#include "net/ports.h"
#include "oci/ref/reference.h"
#include "project/resolve/dotenv.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/network_tables.h"
#include "project/resolve/port_claims.h"
#include "project/resolve/resolve_health.h"
#include "project/resolve/resolve_network.h"
#include "project/resolve/texts.h"
#include "project/resolve/workdir.h"

namespace locald::project {
namespace {

constexpr std::size_t kMaxEnvFile = 1u << 20;       // bytes
constexpr std::size_t kMaxProjectText = 64u << 20;  // bytes, of all services together
constexpr std::size_t kMaxVolumes = 1000;           // of a service
constexpr std::size_t kMaxHostname = 64;            // bytes
constexpr std::uint64_t kDefaultShm = 64u << 20;    // bytes: ContainerOptions::shm_bytes
constexpr std::size_t kMaxEnvFiles = 100;           // of a service
constexpr std::size_t kMaxEnvBytes = 16u << 20;  // of all services' env files, read once for each

/// The one place where a file that the project names is opened for its text. A regular file only: a
/// FIFO in its place must not hang the server.
Result<std::string> read_env_file(const PathJudge& judge, const std::string& path) {
  return TRY(judge.open(path, PathJudge::Use::look)).read(kMaxEnvFile);
}

class Resolver : private Texts {
 public:
  explicit Resolver(const ResolveInput& input) : Texts(input) {}

  Resolved run() {
    share();
    networks_.emplace(static_cast<Texts&>(*this), out_.notices);
    std::size_t left = kMaxProjectText;
    for (const ServiceSpec& spec : in().spec.services) {
      if (problems().size() >= kMaxProblems) break;
      if (left < kMaxServiceText) {
        problem(spec.at,
                Error(Errc::invalid_input,
                      fmt::format("the values of the services up to here come to {} MiB; those of "
                                  "a project may come to that",
                                  kMaxProjectText >> 20))
                    .with_hint("pass the names of files"));
        break;
      }
      begin(spec);
      ServiceConfig config = service(spec);
      left -= kMaxServiceText - room();
      out_.services.emplace(spec.name, std::move(config));
    }
    tell_apart();
    variables().problems(problems(), in().project);
    sort_by_place(problems());
    for (auto& notice : variables().notices()) out_.notices.push_back(std::move(notice));
    bound_notices();
    out_.capture = variables().capture();
    out_.uses = variables().uses();
    out_.problems = std::move(problems());
    return std::move(out_);
  }

 private:
  void notice(const ServiceSpec& spec, std::string_view text) {
    out_.notices.emplace_back(spec.name, shortened(text, kMaxNotice));
  }
  void bound_notices() {
    if (out_.notices.size() <= kMaxNotices) return;
    const std::size_t more = out_.notices.size() - kMaxNotices;
    out_.notices.resize(kMaxNotices);
    out_.notices.emplace_back("", fmt::format("and {} more notices like these", more));
  }

  /// No link in what any of the services can write to is followed, whichever comes first.
  void share() {
    Lookup quiet = lookup();
    std::vector<std::string> unset;
    quiet.unset = &unset;
    for (const ServiceSpec& spec : in().spec.services)
      for (const VolumeSpec& v : spec.volumes) {
        variables().at(spec.name, in().spec.file_of(v.at), v.at);
        const auto volume = [&]() -> Result<VolumeConfig> {  // what is wrong its own service says
          const auto home = [&] { return variables().value("HOME").value_or(""); };
          std::vector<std::string> notices;
          if (!v.text.empty())
            return builder::parse_volume(TRY(interpolate(v.text.raw, quiet)), in().spec.dir, home,
                                         notices);
          VolumeConfig out =
              TRY(builder::volume_of(TRY(interpolate(v.source.raw, quiet)),
                                     TRY(interpolate(v.target.raw, quiet)), in().spec.dir, home));
          out.read_only = v.read_only;
          return out;
        }();
        if (volume)
          for (SharedFolder& folder : shared_folders(in().project, spec.name, {*volume}))
            judge().add_shared(std::move(folder));
      }
  }

  void env(const ServiceSpec& spec, ServiceConfig& out) {
    std::map<std::string, std::size_t> unset;  // name -> its turn
    std::size_t turn = 0;
    if (spec.env_file.size() > kMaxEnvFiles)
      return problem(spec.env_file[kMaxEnvFiles].at,
                     Error(Errc::invalid_input,
                           fmt::format("{} has more than {} env files", spec.name, kMaxEnvFiles))
                         .with_hint("put them into fewer files"));
    for (const Text& file : spec.env_file) {
      const std::string path = in_project(text(file));
      if (room() == 0) break;
      auto content = read_env_file(judge(), path);
      if (!content) {
        problem(file.at, std::move(content)
                             .error()
                             .with_context("`env_file`")
                             .with_hint("make it a file that you can read, or leave the key out"));
        continue;
      }
      if (content->size() > env_bytes_) {
        problem(file.at, Error(Errc::invalid_input,
                               fmt::format("`env_file`: the env files of the project have more "
                                           "than {} MiB",
                                           kMaxEnvBytes >> 20))
                             .with_hint("leave out of them what the services do not need"));
        return;
      }
      env_bytes_ -= content->size();
      variables().at(spec.name, in().spec.file_of(file.at), file.at);
      for (DotenvEntry& entry :
           parse_dotenv(*content, path, lookup().variable, problems(), &room())) {
        for (const std::string& text : vanished_notices(entry, path, told_)) notice(spec, text);
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
    out.unset.insert(out.unset.end(), spec.env_unset.begin(), spec.env_unset.end());
    for (const auto& [name, value] : spec.env) {
      const std::string& set = out.env[name] =
          text(value, Use::plain, LateText::Place::env, name, out);
      if (auto fits = check_word(name, set); !fits) problem(value.at, fits.error());
    }
    const int port = out.network == "host" ? out.port : out.container_port;
    if (spec.kind != ServiceKind::container && port != 0)
      out.env.emplace("PORT", std::to_string(port));
  }

  /// What the file alone can tell about the places of mounts, as the start will look at them.
  static Result<void> check_target(const VolumeConfig& volume) {
    builder::ContainerOptions options;
    options.mounts.push_back({.kind = builder::VolumeMount::Kind::tmpfs, .target = volume.target});
    (void)TRY(builder::MountPlan::make(options, {}));
    return {};
  }

  /// Whether a folder can be created at `path`, where nothing is: not where a file is meant.
  Result<void> may_create(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::size_t dot = name.rfind('.');
    const std::string extension = dot == std::string::npos || dot == 0 ? "" : name.substr(dot + 1);
    if (extension.size() > 1 && std::all_of(extension.begin(), extension.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        }))
      return Error(Errc::not_found, fmt::format("{} does not exist, and looks like a file: no "
                                                "folder is created there",
                                                path))
          .with_hint(fmt::format("create the file, or the folder: mkdir -p {}", shell_quote(path)));
    std::string above = path;
    do above.erase(above.rfind('/'));
    while (!above.empty() && !exists(above));
    const JudgedPath folder = TRY(
        judge().open(above.empty() ? "/" : above, PathJudge::Use::look).context("mount " + path));
    if (folder.is_folder()) return {};
    return Error(Errc::invalid_input,
                 fmt::format("{} does not exist, and {} is not a folder", path, folder.path));
  }

  /// A variable without a value makes no volume without a name.
  void no_source(SourcePos at, const Text& t) {
    problem(at, Error(Errc::invalid_input, fmt::format("volume \"{}\": its source is empty", t.raw))
                    .with_hint("give the variable a value, or leave the source out for a volume "
                               "without a name"));
  }

  void volumes(const ServiceSpec& spec, ServiceConfig& out) {
    std::set<std::string> targets;
    const auto keep = [&](SourcePos at, Result<VolumeConfig> parsed, bool create = false) {
      if (!parsed) return problem(at, parsed.error());
      if (!targets.insert(tidy_path(parsed->target)).second)
        return problem(
            at, Error(Errc::invalid_input, fmt::format("two volumes at {}", parsed->target)));
      if (auto fine = check_target(*parsed); !fine) return problem(at, fine.error());
      if (parsed->kind == VolumeConfig::Kind::bind)
        if (auto fine = builder::open_bind(parsed->source, judge()); !fine) {
          if (!create || fine.error().code() != Errc::not_found) return problem(at, fine.error());
          if (auto may = may_create(parsed->source); !may) return problem(at, may.error());
          out_.to_create.emplace_back(spec.name, parsed->source);
        }
      out.volumes.push_back(std::move(*parsed));
    };
    if (spec.volumes.size() + spec.tmpfs.size() > kMaxVolumes)
      return problem(spec.at, Error(Errc::invalid_input, fmt::format("{} has more than {} volumes",
                                                                     spec.name, kMaxVolumes)));
    for (const VolumeSpec& v : spec.volumes) {
      const auto home = [&] {
        variables().at(spec.name, in().spec.file_of(v.at), v.at);
        return variables().value("HOME").value_or("");
      };
      std::vector<std::string> notices;
      if (!v.text.empty()) {
        const std::string volume = text(v.text);
        if (volume.starts_with(":") && !v.text.raw.starts_with(":"))
          no_source(v.at, v.text);
        else
          keep(v.at, builder::parse_volume(volume, in().spec.dir, home, notices));
      } else {
        const std::string source = text(v.source), target = text(v.target);
        if (failed(v.source.at) || failed(v.target.at)) continue;
        if (source.empty() && !v.source.empty()) {
          no_source(v.source.at, v.source);
          continue;
        }
        Result<VolumeConfig> volume = builder::volume_of(source, target, in().spec.dir, home);
        if (volume) volume->read_only = v.read_only;
        keep(v.at, std::move(volume), v.create);
      }
      for (const std::string& each : notices) notice(spec, each);
    }
    for (const Text& t : spec.tmpfs) keep(t.at, builder::parse_tmpfs(text(t)));
  }

  /// name -> folder.
  std::map<std::string, std::string> bindings(
      const std::vector<std::pair<std::string, Text>>& folders) {
    std::map<std::string, std::string> out;
    for (const auto& [name, folder] : folders) {
      out[name] = tidy_path(in_project(text(folder)));
      if (auto fine = builder::open_bind(out[name], judge()); !fine)
        problem(folder.at, std::move(fine).error().with_context("binding " + name));
    }
    return out;
  }

  /// A reference that can be read; "" where none is given.
  std::string image(const Text& t, std::string_view what) {
    std::string name = text(t);
    if (name.empty()) return name;
    if (auto reference = oci::ImageReference::parse(name, in().spec.dir); !reference)
      problem(t.at, std::move(reference).error().with_context(what));
    return name;
  }

  void app(const ServiceSpec& spec, ServiceConfig& out) {
    const BuildSpec& build = spec.build;
    cnb::AppSpec app;
    app.project = in().project;
    app.path = tidy_path(in_project(text(build.path)));
    app.base_dir = in().spec.dir;
    if (auto folder = cnb::open_source(judge(), app); !folder)
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
    out.auto_port = spec.auto_port;
    resolve_network(*this, *networks_, claims_, spec, out, out_.notices);
    env(spec, out);
    resolve_health(*this, spec, out);
    for (const DependencySpec& d : spec.depends_on)
      out.depends_on.push_back({d.service, condition_of(d, in().spec.find(d.service))});
    out.once = spec.once;
    out.watch = spec.watch;
    out.restart = spec.restart;
    out.stop_signal = spec.stop_signal;
    out.stop_timeout = spec.stop_timeout;
    out.tty = spec.tty;
    out.argv = command(spec, spec.command, LateText::Place::argv, out);
    if (spec.kind == ServiceKind::exec) {
      out.cwd = in_project(text(spec.workdir));
      if (auto there = open_workdir(out.cwd, judge()); !there)
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
    isolation(spec, out);
    limits(spec, out);
    volumes(spec, out);
    return out;
  }

  void limits(const ServiceSpec& spec, const ServiceConfig& out) {
    const auto check = [&](SourcePos at, const builder::ResourceLimits& limit) {
      auto fine = builder::check_minimum(limit);
      if (fine) fine = builder::check_limits(limit, in().rights.limits);
      if (!fine) problem(at.line != 0 ? at : spec.at, fine.error());
    };
    check(spec.limits_at.memory, {.memory_bytes = some(out.memory)});
    check(spec.limits_at.cpus, {.cpus = some(out.cpus)});
    check(spec.limits_at.pids, {.pids = some(out.pids)});
  }

  /// What sets a container off from others.
  void isolation(const ServiceSpec& spec, ServiceConfig& out) {
    out.hostname = text(spec.hostname);
    if (auto good = check_hostname(out.hostname); !good) problem(spec.hostname.at, good.error());
    out.read_only = spec.read_only;
    out.shm_size = spec.shm_size == kDefaultShm ? 0 : spec.shm_size;
    const auto capabilities = [&](const std::vector<Text>& texts, std::vector<std::string>& names) {
      for (const Text& t : texts) {
        names.push_back(text(t));
        if (failed(t.at)) continue;
        if (auto known = builder::container_capabilities({names.back()}, {}, 0); !known)
          problem(t.at, known.error());
      }
    };
    capabilities(spec.cap_add, out.cap_add);
    capabilities(spec.cap_drop, out.cap_drop);
    for (const UlimitSpec& limit : spec.ulimits) {
      if (auto good = builder::check_ulimit(limit.name, limit.soft, limit.hard); !good)
        problem(limit.at, good.error());
      out.ulimits[limit.name] = {limit.soft, limit.hard};
    }
  }

  /// Empty: none. Spec: hostname(7), which leaves 64 bytes on Linux.
  static Result<void> check_hostname(const std::string& name) {
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '.' || c == '_';
    };
    if (name.empty() || (name.size() <= kMaxHostname && name[0] != '-' && name[0] != '.' &&
                         std::all_of(name.begin(), name.end(), plain)))
      return {};
    return Error(Errc::invalid_input, fmt::format("invalid host name \"{}\"", name))
        .with_hint("letters, digits, - and dots, at most 64");
  }

  template <typename T>
  static std::optional<T> some(T value) {
    return value != 0 ? std::optional(value) : std::nullopt;
  }

  std::size_t env_bytes_ = kMaxEnvBytes;
  std::optional<NetworkTables> networks_;
  PortClaims claims_{*this};
  std::set<std::string> told_;  // names that env files have no value for
  Resolved out_;
};

}  // namespace

Resolved resolve(const ResolveInput& input) { return Resolver(input).run(); }

}  // namespace locald::project
