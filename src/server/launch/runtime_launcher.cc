#include "server/launch/runtime_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "builder/storage.h"
#include "cnb/store/generation.h"
#include "project/canonical_text.h"
#include "project/units.h"
#include "runtime/instance_meta.h"
#include "server/launch/command_note.h"
#include "server/launch/connecting.h"
#include "server/launch/launch_plan.h"
#include "server/progress_event.h"
#include "server/supervise/log_prober.h"
#include "server/supervise/notify_prober.h"

namespace locald::server {
namespace {

/// Within it a command that was called off has been killed: the runtime takes 3 s at most.
constexpr std::chrono::seconds kProbeEnds{5};

}  // namespace

RuntimeLauncher::RuntimeLauncher(Deps deps)
    : deps_(deps),
      ports_(deps_.publisher),
      hosts_(deps.loop, 4),
      containers_(deps.loop, 8),
      sweeps_(deps.loop, 4),
      probes_(deps.loop, 8),
      looks_(deps.loop, 4) {
  // The first question may have to load a module of the kernel: not on the loop's thread.
  looks_.run<bool>(
      "look at ports",
      [&network = deps.network](const std::stop_token&) { return bool(network.listeners(1)); },
      [](bool) {});
}

std::string RuntimeLauncher::id_map_notice() {
  if (id_map_told_ || !deps_.user_namespace.fd()) return {};
  std::string text = deps_.user_namespace.notice();
  return !text.empty() && !id_map_told_.exchange(true) ? text : std::string();
}

std::size_t RuntimeLauncher::unfinished() const {
  return hosts_.unfinished() + containers_.unfinished() + sweeps_.unfinished();
}

Error RuntimeLauncher::explain(const Error& error, const net::AddressAndPort& port,
                               bool udp) const {
  return ports_.explain(error, port, udp);
}

std::shared_ptr<const project::ServiceConfig> RuntimeLauncher::effective(
    const LaunchRequest& request) const {
  if (request.config->late.empty()) return request.config;
  std::map<std::string, std::string> hosts;
  for (const auto& [name, peer] : request.peers) {
    std::optional<net::Endpoint> endpoint = peer.endpoint;
    if (!endpoint && peer.port != 0)
      if (auto found = look(peer.shim_pid, peer.port)) endpoint = std::move(found->endpoint);
    if (endpoint) hosts[name] = endpoint->host;
  }
  return std::make_shared<project::ServiceConfig>(project::with_endpoints(
      *request.config, [&](const std::string& name) -> std::optional<std::string> {
        const auto it = hosts.find(name);
        return it == hosts.end() ? std::nullopt : std::optional(it->second);
      }));
}

Result<net::EndpointLook> RuntimeLauncher::look(int shim_pid, std::uint16_t port) const {
  const std::vector<net::Listener> all = TRY(deps_.network.listeners(port));
  const auto trees = TRY(deps_.listeners.below({shim_pid}, port));
  net::EndpointLook found = net::choose_endpoint(port, all, trees.at(0));
  if (!found.endpoint && !found.strangers.empty())
    found.whose = ports_.describe(net::find_port_holder(port, found.strangers), port);
  return found;
}

JobPool::Job RuntimeLauncher::find_endpoint(int shim_pid, std::uint16_t port,
                                            std::function<void(Result<net::EndpointLook>)> done) {
  return looks_.run<Result<net::EndpointLook>>(
      fmt::format("look at port {}", port),
      [this, shim_pid, port](const std::stop_token&) { return look(shim_pid, port); },
      std::move(done));
}

Result<std::unique_ptr<runtime::ServiceHandle>> RuntimeLauncher::start(
    const LaunchRequest& request, const OnProgress& progress,
    const std::function<void(const std::string&)>& notice, const std::stop_token& stop) {
  // What others are told of it, and its folder's name, stay as they were resolved.
  LaunchRequest late = request;
  late.config = effective(request);
  const project::ServiceConfig& config = *late.config;
  const bool on_host = config.network == "host";
  if (on_host && config.port != 0 && !request.one_off)
    TRY(ports_.check_free(deps_.network, static_cast<std::uint16_t>(config.port)));
  runtime::InstanceSpec instance;
  instance.id = request.instance;
  instance.nonce = request.nonce;
  instance.name = request.project + "/" + config.name;
  instance.meta = runtime::InstanceMeta{.kind = runtime::InstanceMeta::Kind::service,
                                        .project = request.project,
                                        .service = config.name,
                                        .life = request.life,
                                        .restarts = request.restarts,
                                        .configuration = project::configuration_id(*request.config)}
                      .to_text();
  instance.tty = config.tty;
  if (request.one_off) {
    instance.meta = runtime::InstanceMeta{.kind = runtime::InstanceMeta::Kind::exec,
                                          .project = request.project,
                                          .service = request.one_off->service}
                        .to_text();
    instance.rows = request.one_off->rows;
    instance.columns = request.one_off->columns;
    instance.open_stdin = request.one_off->open_stdin;
    instance.hold = true;
  } else {
    instance.log_dir = deps_.paths.service_log(request.project, project::slug(config.name));
  }
  if (config.kind == project::ServiceKind::exec) {
    runtime::HostProcess process = host_process(config, *request.user, config.argv);
    TRY(open_workdir(process, deps_.environment.judge()));
    if (config.health.kind == project::HealthSpec::Kind::notify)
      process.env.push_back("NOTIFY_SOCKET=" + deps_.paths.notify_socket(request.instance));
    return deps_.runtime.run_host(instance, process);
  }
  net::Attachment attachment;
  Connecting::Attach attach;
  if (on_host) {
    attachment = TRY(deps_.network.attach(attach_request(late)));
  } else if (config.network == "none") {
    attachment.kind = net::Attachment::Kind::none;
  } else {
    attachment.kind = net::Attachment::Kind::own;
    attach = [this, &late](const std::stop_token& token) { return deps_.attach(late, token); };
  }
  SourceRequest wanted = TRY(source_request(late, attachment));
  wanted.container_key = container_key(request.project, *request.config);
  const auto source = make_source(deps_.environment, std::move(wanted));
  builder::PrepareContext context;
  context.stop = stop;
  context.progress = [&progress](const builder::PrepareProgress& p) {
    progress(progress_event(p));
  };
  context.notice = notice;
  context.login_files = request.user->login_files;
  if (const std::string text = id_map_notice(); !text.empty()) notice(text);
  return start_connected(attach, context, [&](const builder::PrepareContext& prepare) {
    return deps_.runtime.run_container(instance, *source, prepare);
  });
}

/// Of the service, and of each instance of it, which may have had another configuration.
void RuntimeLauncher::defined(const std::string& project, const project::ServiceConfig& config) {
  deps_.environment.shared().set(project + "/" + config.name,
                                 project::shared_folders(project, config.name, config.volumes));
}

void RuntimeLauncher::removed(const std::string& project, const std::string& service) {
  deps_.environment.shared().set(project + "/" + service, {});
}

JobPool::Job RuntimeLauncher::launch(const LaunchRequest& request, LaunchEvents events) {
  deps_.environment.shared().set(
      "instance " + request.instance,
      project::shared_folders(request.project, request.config->name, request.config->volumes));
  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  auto shared = std::make_shared<LaunchEvents>(std::move(events));
  const auto end = [this, instance = request.instance, shared](Started started) {
    if (!started) forget_start(instance);
    shared->done(std::move(started));
  };
  if (request.config->health.kind == project::HealthSpec::Kind::notify) {
    // Before the process, which may speak at once.
    auto bound = bind_notify_socket(deps_.paths, request.instance);
    if (!bound) {
      deps_.loop.post([end, error = bound.error()] { end(error); });
      return {};
    }
    notify_sockets_[request.instance] = std::move(*bound);
  }
  JobPool& pool = request.config->kind == project::ServiceKind::exec ? hosts_ : containers_;
  return pool.run<Started>(
      "start " + request.project + "/" + request.config->name,
      [this, request, shared](const std::stop_token& stop) -> Started {
        if (stop.stop_requested()) return Error(Errc::cancelled, "stopped before it was started");
        const auto progress = [this, shared](const ipc::ProgressEvent& event) {
          deps_.loop.post([shared, event] { shared->progress(event); });
        };
        const auto notice = [this, shared](const std::string& text) {
          deps_.loop.post([shared, text] { shared->notice(text); });
        };
        return start(request, progress, notice, stop);
      },
      end);
}

/// Of a start that came to nothing, also one that was called off while it waited for its turn.
void RuntimeLauncher::forget_start(const std::string& instance) {
  deps_.environment.shared().set("instance " + instance, {});
  if (notify_sockets_.erase(instance) != 0) remove_notify_socket(deps_.paths, instance);
}

Json RuntimeLauncher::content(const LaunchRequest& request) const {
  const project::ServiceConfig& config = *request.config;
  if (!config.app) return {};
  const auto stamp = cnb::GenerationStamp::parse(
      builder::container_stamp(deps_.paths, container_key(request.project, config)));
  if (!stamp) return {};
  return Json::object(
      {{"app", stamp->app}, {"generation", stamp->number}, {"built_at", stamp->built_at}});
}

std::string RuntimeLauncher::command_note(const LaunchRequest& request, bool success) const {
  const project::ServiceConfig& config = *request.config;
  if (config.kind != project::ServiceKind::container) return {};
  const bool own = config.argv.empty() && config.entrypoint.empty();
  if (success && !own) return {};  // it did what it was told
  return server::command_note(deps_.paths, request.instance,
                              own                   ? kImagesOwn
                              : config.argv.empty() ? "the service's `entrypoint`"
                                                    : "the service's `command`");
}

void RuntimeLauncher::clean(const std::string& instance, const std::string& nonce,
                            std::function<void(Result<void>)> done) {
  ports_.forget(instance);
  deps_.environment.shared().set("instance " + instance, {});
  notify_sockets_.erase(instance);
  sweeps_.run<Result<void>>(
      "clean " + instance,
      [this, instance, nonce](const std::stop_token&) {
        (void)running_probes_.wait(instance, kProbeEnds);
        return deps_.runtime.clean(instance, nonce);
      },
      std::move(done));
}

void RuntimeLauncher::write_back(const std::string& instance, bool ready) {
  const auto socket = notify_sockets_.find(instance);
  if (socket == notify_sockets_.end()) return;
  // Under the same number: the prober has it. Of one that was ready before this server there is
  // none.
  if (socket->second && !exists(deps_.paths.notify_socket(instance)))
    if (auto bound = bind_notify_socket(deps_.paths, instance))
      (void)::dup3(bound->get(), socket->second.get(), O_CLOEXEC);
  if (ready) mark_ready(deps_.paths, instance);
}

std::unique_ptr<Prober> RuntimeLauncher::make_prober(const LaunchRequest& request) {
  switch (request.config->health.kind) {
    case project::HealthSpec::Kind::exec:
      return std::make_unique<ExecProber>(
          probes_, running_probes_, deps_.runtime, deps_.environment, request,
          [this](const LaunchRequest& asked) { return effective(asked); });
    case project::HealthSpec::Kind::log:
      return std::make_unique<LogProber>(
          deps_.loop, deps_.paths.service_log(request.project, project::slug(request.config->name)),
          request.nonce, request.config->health.pattern);
    case project::HealthSpec::Kind::notify: {
      notify_sockets_.try_emplace(request.instance);
      return std::make_unique<NotifyProber>(
          deps_.loop, deps_.paths, request.instance,
          [this, instance = request.instance]() -> Result<int> {
            UniqueFd& socket = notify_sockets_[instance];
            if (!socket)  // an earlier server's: the service speaks to the path
              socket = TRY(bind_notify_socket(deps_.paths, instance));
            return socket.get();
          });
    }
    case project::HealthSpec::Kind::http:
    case project::HealthSpec::Kind::tcp:
      return make_inside_prober(
          deps_.loop, *request.config,
          [this, request](const std::string& host) { return deps_.inside(request, host); });
    case project::HealthSpec::Kind::none:
      break;
  }
  return nullptr;
}

}  // namespace locald::server
