#include "server/runtime_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/fs_at.h"
#include "base/strings.h"
#include "builder/cnb/generation.h"
#include "builder/storage.h"
#include "server/command_note.h"
#include "server/log_prober.h"
#include "server/notify_prober.h"
#include "server/units.h"

namespace locald::server {
namespace {

struct LimitName {
  std::string_view name;
  int number;
};
constexpr std::array<LimitName, 16> kLimits{{{"AS", RLIMIT_AS},
                                             {"CORE", RLIMIT_CORE},
                                             {"CPU", RLIMIT_CPU},
                                             {"DATA", RLIMIT_DATA},
                                             {"FSIZE", RLIMIT_FSIZE},
                                             {"LOCKS", RLIMIT_LOCKS},
                                             {"MEMLOCK", RLIMIT_MEMLOCK},
                                             {"MSGQUEUE", RLIMIT_MSGQUEUE},
                                             {"NICE", RLIMIT_NICE},
                                             {"NOFILE", RLIMIT_NOFILE},
                                             {"NPROC", RLIMIT_NPROC},
                                             {"RSS", RLIMIT_RSS},
                                             {"RTPRIO", RLIMIT_RTPRIO},
                                             {"RTTIME", RLIMIT_RTTIME},
                                             {"SIGPENDING", RLIMIT_SIGPENDING},
                                             {"STACK", RLIMIT_STACK}}};

std::string fnv_hex(std::string_view text) {
  std::uint64_t h = 14695981039346656037ull;
  for (const unsigned char c : text) h = (h ^ c) * 1099511628211ull;
  return fmt::format("{:016x}", h);
}

int parent_of(int pid) {
  const auto stat = [&]() -> std::string {
    std::string out;
    if (std::FILE* f = std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "re")) {
      char buffer[512];
      const std::size_t n = std::fread(buffer, 1, sizeof buffer, f);
      out.assign(buffer, n);
      std::fclose(f);
    }
    return out;
  }();
  const std::size_t paren = stat.rfind(')');
  if (paren == std::string::npos || paren + 4 >= stat.size()) return 0;
  return std::atoi(stat.c_str() + paren + 4);
}

/// What an app has besides: its own command, and service bindings. Spec: servicebinding.io,
/// workload projection.
void app_options(const ServiceConfig& config, builder::ContainerOptions& out) {
  if (!config.argv.empty())
    out.entrypoint = std::vector{std::string(builder::cnb::kLauncher)};
  else if (!config.args.empty())
    out.command = config.args;
  if (config.bindings.empty()) return;
  out.env.emplace("SERVICE_BINDING_ROOT", "/bindings");
  for (const auto& [name, folder] : config.bindings)
    out.mounts.push_back({.kind = builder::VolumeMount::Kind::bind,
                          .source = folder,
                          .target = "/bindings/" + name,
                          .read_only = true});
}

/// Runs a command of the service's on a job.
class ExecProber final : public Prober {
 public:
  using Effective =
      std::function<std::shared_ptr<const ServiceConfig>(const LaunchRequest& request)>;
  ExecProber(JobPool& jobs, runtime::ProcessRuntime& runtime,
             const builder::Environment& environment, LaunchRequest request, Effective effective)
      : jobs_(jobs),
        runtime_(runtime),
        environment_(environment),
        request_(std::move(request)),
        effective_(std::move(effective)) {}
  ~ExecProber() override { cancel(); }

  void start(Milliseconds timeout, Done done) override {
    cancel();
    alive_ = std::make_shared<bool>(true);
    job_ = jobs_.run<Verdict>(
        "probe " + request_.config->name,
        [&runtime = runtime_, &environment = environment_, request = request_,
         effective = effective_, timeout](const std::stop_token& stop) mutable {
          request.config = effective(request);
          return probe(runtime, environment, request, timeout, stop);
        },
        [alive = alive_, done = std::move(done)](const Verdict& verdict) {
          if (*alive) done(verdict);
        });
  }

  void cancel() override {
    if (alive_) *alive_ = false;
    job_.cancel();
  }

 private:
  static Result<runtime::ProcessRuntime::ProbeResult> run(runtime::ProcessRuntime& runtime,
                                                          const builder::Environment& environment,
                                                          const LaunchRequest& request,
                                                          Milliseconds timeout,
                                                          const std::stop_token& stop) {
    const ServiceConfig& config = *request.config;
    if (config.kind != ServiceKind::exec)
      return runtime.probe(request.instance, {config.health.argv, {}, config.user, config.cwd},
                           timeout, stop);
    runtime::HostProcess process = host_process(config, *request.user, config.health.argv);
    TRY(open_workdir(process, environment.judge()));
    return runtime.probe_host(process, timeout, stop);
  }

  static Verdict probe(runtime::ProcessRuntime& runtime, const builder::Environment& environment,
                       const LaunchRequest& request, Milliseconds timeout,
                       const std::stop_token& stop) {
    const ServiceConfig& config = *request.config;
    const auto probed = run(runtime, environment, request, timeout, stop);
    if (!probed) {
      // Too late is an answer. All else is our own trouble with asking.
      if (probed.error().code() == Errc::timed_out) return probed.error();
      return Verdict::unknown(probed.error());
    }
    const auto& result = *probed;
    if (result.code == 0) return Result<void>();
    const std::string_view said = trim(result.output);
    return Error(Errc::failed,
                 fmt::format("{} exited with code {}{}{}", config.health.argv.back(), result.code,
                             said.empty() ? "" : ": ", said.substr(0, 300)));
  }

  JobPool& jobs_;
  runtime::ProcessRuntime& runtime_;
  const builder::Environment& environment_;
  LaunchRequest request_;
  Effective effective_;
  JobPool::Job job_;
  std::shared_ptr<bool> alive_;
};

}  // namespace

runtime::HostProcess host_process(const ServiceConfig& config, const UserContext& user,
                                  std::vector<std::string> argv) {
  std::map<std::string, std::string> env = user.env;
  // `up` may run inside of a service itself: what ties a process to that one is not for this one.
  for (const char* name : {"LOCALD_INSTANCE", "NOTIFY_SOCKET"}) env.erase(name);
  for (const std::string& name : config.unset) env.erase(name);
  for (const auto& [name, value] : config.env) env[name] = value;
  runtime::HostProcess process;
  process.argv = std::move(argv);
  process.env.reserve(env.size());
  for (const auto& [name, value] : env) process.env.push_back(name + "=" + value);
  process.cwd = config.cwd;
  process.umask = user.umask;
  for (const auto& [name, limit] : user.rlimits)
    for (const LimitName& known : kLimits)
      if (known.name == name)
        process.rlimits.emplace_back(known.number, rlimit{limit.first, limit.second});
  return process;
}

Result<void> open_workdir(runtime::HostProcess& process, const PathJudge& judge) {
  auto folder = judge.open(process.cwd, PathJudge::Use::look);
  if (!folder && folder.error().code() != Errc::not_found)
    return std::move(folder).error().with_context("workdir");
  if (!folder)
    return Error(Errc::not_found, fmt::format("workdir {} is not there", process.cwd))
        .with_hint("create it, or correct `workdir`");
  if (!folder->is_folder())
    return Error(Errc::invalid_input, fmt::format("workdir {} is not a folder", process.cwd))
        .with_hint("correct `workdir`");
  process.folder = std::make_shared<const UniqueFd>(std::move(folder->fd));
  return {};
}

std::string container_key(const std::string& project, const ServiceConfig& config) {
  return fmt::format("{}.{}.{}", project, slug(config.name),
                     fnv_hex(config.to_json().dump()).substr(0, 8));
}

Result<builder::ContainerOptions> container_options(const LaunchRequest& request) {
  const ServiceConfig& config = *request.config;
  builder::ContainerOptions out;
  out.project = request.project;
  out.hostname = slug(config.name);
  out.volume_key = slug(config.name);
  if (!config.entrypoint.empty()) out.entrypoint = config.entrypoint;
  if (!config.argv.empty()) out.command = config.argv;
  out.env = config.env;
  if (config.app) app_options(config, out);
  out.user = config.user;
  out.workdir = config.cwd;
  out.init = config.init;
  out.tty = config.tty;
  if (config.stop_signal != 0) out.stop_signal = std::to_string(config.stop_signal);
  for (const std::string& name : request.hosts) {
    const auto peer = request.peers.find(name);
    const bool known = peer != request.peers.end() && peer->second.endpoint;
    out.extra_hosts[slug(name)] = (known ? *peer->second.endpoint : Endpoint()).host;
  }
  if (config.memory != 0) out.limits.memory_bytes = config.memory;
  if (config.cpus != 0) out.limits.cpus = config.cpus;
  if (config.pids != 0) out.limits.pids = config.pids;
  for (const VolumeConfig& v : config.volumes) {
    builder::VolumeMount mount;
    switch (v.kind) {
      case VolumeConfig::Kind::named:
      case VolumeConfig::Kind::anonymous:
        mount.kind = builder::VolumeMount::Kind::named;
        break;
      case VolumeConfig::Kind::bind:
        mount.kind = builder::VolumeMount::Kind::bind;
        break;
      case VolumeConfig::Kind::tmpfs:
        mount.kind = builder::VolumeMount::Kind::tmpfs;
        break;
    }
    mount.source = v.source;
    mount.target = TRY(builder::normal_path(v.target, "the volume's place"));
    mount.read_only = v.read_only;
    for (const std::string& option : split(v.options, ',')) {
      if (option.empty()) continue;
      if (!option.starts_with("size="))
        return Error(Errc::unsupported,
                     fmt::format("tmpfs option \"{}\" is not supported yet", option));
      mount.tmpfs_bytes = TRY(parse_size(std::string_view(option).substr(5)));
    }
    out.mounts.push_back(std::move(mount));
  }
  return out;
}

/// The only place that knows what kinds of containers there are.
Result<builder::SourceRequest> source_request(const LaunchRequest& request) {
  const ServiceConfig& config = *request.config;
  builder::SourceRequest out;
  out.base_dir = request.dir;
  out.options = TRY(container_options(request));
  out.container_key = container_key(request.project, config);
  if (config.app) {
    out.kind = "cnb";
    out.settings = {{"app", app_of(config, *request.user).to_json().dump()},
                    {"process", config.process},
                    // An automatic restart builds nothing, whatever has changed: it runs the newest
                    // generation (where there is one), which may not be the one that ended.
                    {"build", request.restarts > 0 || request.built ? "no" : "yes"}};
  } else {
    out.kind = "image";
    out.settings = {{"image", config.image}, {"pull", std::string(to_string(config.pull))}};
  }
  return out;
}

builder::cnb::AppSpec app_of(const ServiceConfig& config, const UserContext& user) {
  builder::cnb::AppSpec app = *config.app;
  for (const char* name :
       {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
    if (const auto found = user.env.find(name); found != user.env.end() && !found->second.empty())
      app.proxies[name] = found->second;
  if (const auto found = user.env.find("SSL_CERT_FILE"); found != user.env.end())
    app.host_ca_file = found->second;
  return app;
}

RuntimeLauncher::RuntimeLauncher(World world)
    : world_(world),
      hosts_(world.loop, 4),
      containers_(world.loop, 8),
      sweeps_(world.loop, 4),
      probes_(world.loop, 8),
      looks_(world.loop, 4) {
  // The first question may have to load a module of the kernel: not on the loop's thread.
  looks_.run<bool>(
      "look at ports", [](const std::stop_token&) { return bool(listeners(1)); }, [](bool) {});
}

std::string RuntimeLauncher::id_map_notice() {
  if (id_map_told_ || !world_.user_namespace.fd()) return {};
  std::string text = world_.user_namespace.notice();
  return !text.empty() && !id_map_told_.exchange(true) ? text : std::string();
}

std::size_t RuntimeLauncher::unfinished() const {
  return hosts_.unfinished() + containers_.unfinished() + sweeps_.unfinished();
}

void RuntimeLauncher::remember(int shim_pid, const std::string& instance, const std::string& name) {
  const std::lock_guard lock(mutex_);
  names_[shim_pid] = name;
  shim_of_[instance] = shim_pid;
}

std::string RuntimeLauncher::describe(const std::optional<PortHolder>& holder) const {
  if (!holder) return "a process that cannot be seen";
  if (holder->pid != 0) {
    const std::lock_guard lock(mutex_);
    for (int pid = holder->pid, depth = 0; pid > 1 && depth < 64; pid = parent_of(pid), ++depth)
      if (const auto it = names_.find(pid); it != names_.end())
        return fmt::format("service {} ({})", it->second, to_string(*holder));
  }
  return to_string(*holder);
}

std::shared_ptr<const ServiceConfig> RuntimeLauncher::effective(
    const LaunchRequest& request) const {
  if (request.config->late.empty()) return request.config;
  std::map<std::string, std::string> hosts;
  for (const auto& [name, peer] : request.peers) {
    std::optional<Endpoint> endpoint = peer.endpoint;
    if (!endpoint && peer.port != 0)
      if (auto found = look(peer.shim_pid, peer.port)) endpoint = std::move(found->endpoint);
    if (endpoint) hosts[name] = endpoint->host;
  }
  return std::make_shared<ServiceConfig>(
      with_endpoints(*request.config, [&](const std::string& name) -> std::optional<std::string> {
        const auto it = hosts.find(name);
        return it == hosts.end() ? std::nullopt : std::optional(it->second);
      }));
}

Result<EndpointLook> RuntimeLauncher::look(int shim_pid, std::uint16_t port) const {
  const std::vector<Listener> all = TRY(listeners(port));
  const auto trees = TRY(world_.listeners.below({shim_pid}, port));
  EndpointLook found = choose_endpoint(port, all, trees.at(0));
  if (!found.endpoint && !found.strangers.empty())
    found.whose = describe(find_port_holder(port, found.strangers));
  return found;
}

JobPool::Job RuntimeLauncher::find_endpoint(int shim_pid, std::uint16_t port,
                                            std::function<void(Result<EndpointLook>)> done) {
  return looks_.run<Result<EndpointLook>>(
      fmt::format("look at port {}", port),
      [this, shim_pid, port](const std::stop_token&) { return look(shim_pid, port); },
      std::move(done));
}

Result<void> RuntimeLauncher::check_port(int port) const {
  const auto free = check_port_free(static_cast<std::uint16_t>(port));
  if (free) return {};
  if (free.error().code() != Errc::already_exists) return free;
  const auto holder = find_port_holder(static_cast<std::uint16_t>(port));
  if (holder && holder->lingers)
    return Error(Errc::unavailable,
                 fmt::format("port {} is not free yet: {} hold it", port, to_string(*holder)))
        .with_hint("within a minute it is free; a server that sets SO_REUSEADDR leaves none");
  return Error(Errc::unavailable, fmt::format("port {} is in use by {}", port, describe(holder)))
      .with_hint(holder && holder->pid != 0 ? "stop it, or give the service another port"
                                            : "give the service another port");
}

Result<std::unique_ptr<runtime::ServiceHandle>> RuntimeLauncher::start(
    const LaunchRequest& request, const std::function<void(const Json&)>& progress,
    const std::function<void(const std::string&)>& notice, const std::stop_token& stop) {
  // What others are told of it, and its folder's name, stay as they were resolved.
  LaunchRequest late = request;
  late.config = effective(request);
  const ServiceConfig& config = *late.config;
  if (config.port != 0) TRY(check_port(config.port));
  runtime::InstanceSpec instance;
  instance.id = request.instance;
  instance.nonce = request.nonce;
  instance.name = request.project + "/" + config.name;
  instance.meta = Json::object({{"project", request.project},
                                {"service", config.name},
                                {"life", request.life},
                                {"restarts", request.restarts}})
                      .dump();
  instance.log_dir = world_.paths.service_log(request.project, slug(config.name));
  instance.tty = config.tty;
  if (config.kind == ServiceKind::exec) {
    runtime::HostProcess process = host_process(config, *request.user, config.argv);
    TRY(open_workdir(process, world_.environment.judge()));
    if (config.health.kind == HealthSpec::Kind::notify)
      process.env.push_back("NOTIFY_SOCKET=" + world_.paths.notify_socket(request.instance));
    return world_.runtime.run_host(instance, process);
  }
  builder::SourceRequest wanted = TRY(source_request(late));
  wanted.container_key = container_key(request.project, *request.config);
  const auto source = TRY(builder::make_source(world_.environment, wanted));
  builder::PrepareContext context;
  context.progress = [&progress](const builder::PrepareProgress& p) {
    progress(
        Json::object({{"phase", p.phase}, {"item", p.item}, {"done", p.done}, {"total", p.total}}));
  };
  context.stop = stop;
  context.notice = notice;
  context.login_files = request.user->login_files;
  if (const std::string text = id_map_notice(); !text.empty()) notice(text);
  return world_.runtime.run_container(instance, *source, context);
}

/// Of the service, and of each instance of it, which may have had another configuration.
void RuntimeLauncher::defined(const std::string& project, const ServiceConfig& config) {
  world_.environment.shared().set(project + "/" + config.name,
                                  shared_folders(project, config.name, config.volumes));
}

void RuntimeLauncher::removed(const std::string& project, const std::string& service) {
  world_.environment.shared().set(project + "/" + service, {});
}

JobPool::Job RuntimeLauncher::launch(const LaunchRequest& request, LaunchEvents events) {
  world_.environment.shared().set(
      "instance " + request.instance,
      shared_folders(request.project, request.config->name, request.config->volumes));
  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  auto shared = std::make_shared<LaunchEvents>(std::move(events));
  if (request.config->health.kind == HealthSpec::Kind::notify) {
    // Before the process, which may speak at once.
    auto bound = bind_notify_socket(world_.paths, request.instance);
    if (!bound) {
      world_.loop.post([shared, error = bound.error()] { shared->done(error); });
      return {};
    }
    notify_sockets_[request.instance] = std::move(*bound);
  }
  JobPool& pool = request.config->kind == ServiceKind::exec ? hosts_ : containers_;
  return pool.run<Started>(
      "start " + request.project + "/" + request.config->name,
      [this, request, shared](const std::stop_token& stop) -> Started {
        if (stop.stop_requested()) return Error(Errc::cancelled, "stopped before it was started");
        const auto progress = [this, shared](const Json& event) {
          world_.loop.post([shared, event] { shared->progress(event); });
        };
        const auto notice = [this, shared](const std::string& text) {
          world_.loop.post([shared, text] { shared->notice(text); });
        };
        auto started = start(request, progress, notice, stop);
        if (started)
          remember((*started)->shim_pid(), request.instance,
                   request.project + "/" + request.config->name);
        return started;
      },
      [shared](Started started) { shared->done(std::move(started)); });
}

Json RuntimeLauncher::content(const LaunchRequest& request) const {
  const ServiceConfig& config = *request.config;
  if (!config.app) return {};
  const auto stamp = builder::cnb::GenerationStamp::parse(
      builder::container_stamp(world_.paths, container_key(request.project, config)));
  if (!stamp) return {};
  return Json::object(
      {{"app", stamp->app}, {"generation", stamp->number}, {"built_at", stamp->built_at}});
}

std::string RuntimeLauncher::command_note(const LaunchRequest& request, bool success) const {
  const ServiceConfig& config = *request.config;
  if (config.kind != ServiceKind::container) return {};
  const bool own = config.argv.empty() && config.entrypoint.empty();
  if (success && !own) return {};  // it did what it was told
  return server::command_note(world_.paths, request.instance,
                              own                   ? kImagesOwn
                              : config.argv.empty() ? "the service's `entrypoint`"
                                                    : "the service's `command`");
}

void RuntimeLauncher::clean(const std::string& instance, const std::string& nonce,
                            std::function<void(Result<void>)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = shim_of_.find(instance); it != shim_of_.end()) {
      names_.erase(it->second);
      shim_of_.erase(it);
    }
  }
  world_.environment.shared().set("instance " + instance, {});
  notify_sockets_.erase(instance);
  sweeps_.run<Result<void>>(
      "clean " + instance,
      [this, instance, nonce](const std::stop_token&) {
        return world_.runtime.clean(instance, nonce);
      },
      std::move(done));
}

void RuntimeLauncher::write_back(const std::string& instance, bool ready) {
  const auto socket = notify_sockets_.find(instance);
  if (socket == notify_sockets_.end()) return;
  // Under the same number: the prober has it. Of one that was ready before this server there is
  // none.
  if (socket->second && !exists(world_.paths.notify_socket(instance)))
    if (auto bound = bind_notify_socket(world_.paths, instance))
      (void)::dup3(bound->get(), socket->second.get(), O_CLOEXEC);
  if (ready) mark_ready(world_.paths, instance);
}

std::unique_ptr<Prober> RuntimeLauncher::make_prober(const LaunchRequest& request) {
  switch (request.config->health.kind) {
    case HealthSpec::Kind::exec:
      return std::make_unique<ExecProber>(
          probes_, world_.runtime, world_.environment, request,
          [this](const LaunchRequest& asked) { return effective(asked); });
    case HealthSpec::Kind::log:
      return std::make_unique<LogProber>(
          world_.loop, world_.paths.service_log(request.project, slug(request.config->name)),
          request.nonce, request.config->health.pattern);
    case HealthSpec::Kind::notify: {
      notify_sockets_.try_emplace(request.instance);
      return std::make_unique<NotifyProber>(
          world_.loop, world_.paths, request.instance,
          [this, instance = request.instance]() -> Result<int> {
            UniqueFd& socket = notify_sockets_[instance];
            if (!socket)  // an earlier server's: the service speaks to the path
              socket = TRY(bind_notify_socket(world_.paths, instance));
            return socket.get();
          });
    }
    case HealthSpec::Kind::none:
    case HealthSpec::Kind::http:
    case HealthSpec::Kind::tcp:
      break;
  }
  return nullptr;
}

}  // namespace locald::server
