#include "server/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "builder/environment.h"
#include "builder/storage.h"
#include "cnb/build/housekeeping.h"
#include "ipc/version.h"
#include "project/user_config.h"
#include "runtime/orphans.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "server/api/api.h"
#include "server/api/images.h"
#include "server/builds/builds.h"
#include "server/http/http_server.h"
#include "server/instances/adoption.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/launch/launch_plan.h"
#include "server/launch/runtime_launcher.h"
#include "server/log.h"
#include "server/networks/network_trial.h"
#include "server/networks/networks.h"
#include "server/progress_event.h"
#include "server/projects/project_registry.h"
#include "server/projects/projects.h"
#include "server/projects/unmanaged.h"
#include "server/service_manager.h"
#include "server/signals.h"
#include "server/state/own_folders.h"
#include "server/state/run_folder.h"
#include "server/state/server_lock.h"
#include "server/supervise/notify_prober.h"

namespace locald::server {
namespace {

/// Many services are many descriptors. Host services get the limits that `up` sent, not these.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

/// What a server needs before it can be one; looked for also by those who are about to stop the
/// present one for it (--check).
struct BeforeStart {
  project::UserConfig config;
  std::string shim;
};
Result<BeforeStart> look_before_start(const Paths& paths) {
  return BeforeStart{TRY(project::load_user_config(paths.config_file())),
                     TRY(find_own_program("locald-shim"))};
}

class Server {
 public:
  /// `ready`: where a byte goes when it listens (ipc/server_start.cc), or none.
  Server(Paths paths, UniqueFd ready)
      : paths_(std::move(paths)), ready_(std::move(ready)), jobs_(loop_, 8) {}

  Result<int> run() {
    TRY(paths_.create());
    lock_ = TRY(ServerLock::take(paths_));
    set_aside_intruders(paths_, log);
    const auto [config, shim] = TRY(look_before_start(paths_));
    TRY(runtime::become_subreaper());
    // Before there is another thread: it would take them, and ignore them.
    signals_ = TRY(Signals::watch(loop_, [this] { end(); }));
    raise_descriptor_limit();
    log(fmt::format("locald-server {} ({}) starts, pid {}", ipc::kVersion, ipc::kBuild,
                    ::getpid()));

    user_namespace_ = std::make_unique<runtime::UserNamespace>(shim);
    const auto userns = [ns = user_namespace_.get()] { return ns->fd(); };
    runtime_ = std::make_unique<runtime::ProcessRuntime>(runtime::ProcessRuntime::Options{
        paths_, shim, config.runtime, userns,
        [this](const std::string& owner, std::vector<SharedFolder> folders) {
          environment_->shared().set(owner, std::move(folders));
        },
        project::program_search_path()});
    environment_ = std::make_unique<builder::Environment>(builder::Environment::Options{
        .paths = paths_,
        .server_binary = TRY(find_own_program("locald-server")),
        .init_program = shim,
        .user_namespace = user_namespace_.get(),
        .runtime = runtime_.get(),
        .background = [this](std::string name, std::function<void(const std::stop_token&)> work) {
          jobs_.run<int>(
              std::move(name),
              [work = std::move(work)](const std::stop_token& stop) { return work(stop), 0; },
              [](int) {});
        }});
    if (::geteuid() != 0)
      listeners_ = runtime::ListenerSearch([environment = environment_.get()](Json job) {
        return environment->run(std::move(job), {}, {}, std::chrono::seconds(5));
      });
    std::string notice;
    networks_ = std::make_unique<Networks>(
        Networks::Deps{
            loop_,
            *environment_,
            *user_namespace_,
            paths_,
            TRY(find_own_program("locald-netd")),
            [this](const Error& error, const PublishedPort& port) {
              return launcher_->explain(error, port.outside, port.udp);
            },
            log,
            [this](const std::string& project) { return projects_->running_containers(project); },
            {config.cni_path, project::program_search_path(), config.cni_timeout}},
        TRY(NetworkRegistry::load(paths_.networks_file(), notice)));
    if (!notice.empty()) log(std::exchange(notice, {}));
    launcher_ = std::make_unique<RuntimeLauncher>(RuntimeLauncher::Deps{
        loop_, *runtime_, *environment_, paths_, *user_namespace_, listeners_, network_,
        [this](const LaunchRequest& request, const std::stop_token& stop) {
          return networks_->attach(request.project, *request.config, stop);
        },
        [this](const LaunchRequest& request, const std::string& host) -> Result<InsidePlace> {
          auto place = TRY(networks_->probe_place(request.project, request.config->name, host));
          return InsidePlace{std::move(place.socket), std::move(place.address)};
        },
        [this](int pid, const net::AddressAndPort& port, bool udp) {
          return networks_->publisher(pid, port, udp);
        }});
    auto registry = TRY(ProjectRegistry::load(paths_.projects_file(), notice));
    if (!notice.empty()) log(std::exchange(notice, {}));
    builds_ = std::make_unique<Builds>(Builds::Deps{loop_, *environment_});
    const auto clean = [this](const std::string& instance, const std::string& nonce,
                              std::function<void(Result<void>)> done) {
      jobs_.run<Result<void>>(
          "clean " + instance,
          [this, instance, nonce](const std::stop_token&) {
            return runtime_->clean(instance, nonce);
          },
          std::move(done));
    };
    unmanaged_ = std::make_unique<Unmanaged>(
        Unmanaged::Deps{loop_, paths_, clean,
                        [this](const ipc::DownRequest& request, const ReplyPtr& reply) {
                          projects_->down(request, reply);
                        },
                        log});
    image_answers_ =
        std::make_unique<ImageAnswers>(ImageAnswers::Deps{loop_, *environment_, jobs_});
    projects_ = std::make_unique<Projects>(
        Projects::Deps{
            loop_, *launcher_, paths_, jobs_, network_, listeners_, environment_->shared(),
            [this](const RunningApp& app, OnProgress progress,
                   std::function<void(Result<Json>)> done) {
              return builds_->ensure(app, std::move(progress), std::move(done));
            },
            [this](const std::string& project, bool volumes,
                   std::function<void(Result<void>)> done) {
              jobs_.run<Result<void>>(
                  "remove the data of " + project,
                  [this, project, volumes](const std::stop_token& stop) {
                    networks_->end(project);
                    return builder::remove_project_data(*environment_, project, volumes, stop);
                  },
                  std::move(done));
            },
            [this](const std::string& project, std::function<void()> done) {
              sessions_->end(project, [this, project, done = std::move(done)] {
                unmanaged_->end(project, {}, /*at_once=*/true,
                                [done](const Result<void>&) { done(); });
              });
            },
            unmanaged_.get(), networks_.get(), image_answers_.get(),
            [this](const std::string& image, const std::string& dir) -> std::string {
              const auto images = environment_->images();
              const auto found = images ? (*images)->find(image, dir) : images.error();
              return found ? found->manifest_digest.str() : std::string();
            }},
        std::move(registry));
    sessions_ = std::make_unique<Sessions>(Sessions::Deps{
        loop_, *environment_, *projects_,
        [this](const std::string& name, Sessions::Start start,
               std::function<void(Sessions::Started)> done) {
          jobs_.run<Sessions::Started>(
              name,
              [this, start = std::move(start)](const std::stop_token&) { return start(*runtime_); },
              std::move(done));
        },
        clean, launcher_.get(), networks_.get(),
        [this](const std::string& project, const project::ServiceConfig& service,
               std::function<void(Result<void>)> done) {
          jobs_.run<Result<void>>(
              "remove what a run left",
              [this, project, key = container_key(project, service),
               volumes = project::slug(service.name)](const std::stop_token& stop) -> Result<void> {
                TRY(builder::discard_anonymous_volumes(*environment_, project, volumes));
                TRY(builder::discard_container(*environment_, key));
                return builder::sweep_discarded(*environment_, stop);
              },
              std::move(done));
        }});
    const auto start_container = [this](const std::string& name, Containers::Start start,
                                        std::function<void(Containers::Started)> done) {
      return jobs_.run<Containers::Started>(
          name,
          [this, start = std::move(start)](const std::stop_token& stop) {
            return start({*runtime_, *environment_, [this] { return launcher_->id_map_notice(); }},
                         stop);
          },
          std::move(done));
    };
    container_networks_ = std::make_unique<ContainerNetworks>(*networks_, network_);
    const auto clean_container = [this](const std::string& id, const std::string& nonce,
                                        std::function<void(Result<void>)> done) {
      jobs_.run<Result<void>>(
          "clean container " + id,
          [this, id, nonce](const std::stop_token&) {
            auto cleaned = runtime_->clean(id, nonce);
            container_networks_->end(id);
            return cleaned;
          },
          std::move(done));
    };
    const auto discard_container = [this](const std::string& id, const std::string& nonce,
                                          std::function<void(Result<void>)> done) {
      jobs_.run<Result<void>>(
          "remove container " + id,
          [this, id, nonce](const std::stop_token& stop) {
            auto discarded = Containers::discard({*runtime_, *environment_, {}}, id, nonce, stop);
            container_networks_->end(id);
            return discarded;
          },
          std::move(done));
    };
    containers_ = std::make_unique<Containers>(
        TRY(Containers::load({loop_, *environment_, paths_, start_container, clean_container,
                              discard_container, container_networks_.get()},
                             notice)));
    if (!notice.empty()) log(notice);
    images_ = std::make_unique<Images>(Images::Deps{loop_, *environment_, jobs_});
    store_ = std::make_unique<StoreCare>(StoreCare::Deps{*environment_, jobs_, *projects_});
    copies_ = std::make_unique<Copies>(Copies::Deps{*environment_, jobs_, *projects_});
    api_ = std::make_unique<Api>(Api::Deps{
        loop_, paths_, jobs_, *projects_, *sessions_, *containers_, *images_, *store_, *copies_,
        *builds_, *launcher_, *user_namespace_, config.runtime, [this] { end(); }, unmanaged_.get(),
        [this, netd = TRY(find_own_program("locald-netd"))](const std::stop_token& stop) {
          return try_network(*environment_, *user_namespace_, paths_, netd, stop);
        },
        config.cni_path});
    TRY(adopt({paths_, [this] { return runtime_->find_instances(); },
               [this](int shim_pid) { (void)user_namespace_->adopt(shim_pid); }, *projects_,
               *sessions_, *containers_, *unmanaged_, log}));
    remove_stale_notify_sockets(paths_);
    networks_->end_others(unmanaged_->projects());
    environment_->in_background("clean up after builds", [this](const std::stop_token& stop) {
      cnb::after_crash(*environment_, stop);
    });

    TRY(listen());
    run_folder_ = std::make_unique<RunFolder>(
        loop_, paths_, [this] { return write_back(); }, log);
    if (ready_) (void)!::write(ready_.get(), "1", 1);
    ready_.reset();
    manager_.ready();
    loop_.run();
    networks_->stop();  // while the launcher is there, which its jobs ask
    log("locald-server ends; services keep running");
    return 0;
  }

 private:
  Result<void> listen() {
    const UniqueFd run_dir = TRY(sys::open(paths_.run(), O_RDONLY | O_DIRECTORY));
    for (const char* name : {"server.sock", ".server.sock.new"}) {
      struct stat st {};
      if (::fstatat(run_dir.get(), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        continue;
      log(fmt::format("{}/{} was a folder; it was set aside as {}", paths_.run(), name,
                      TRY(set_aside(run_dir.get(), name))));
    }
    auto http = std::make_unique<HttpServer>(
        loop_, TRY(sys::unix_listen(run_dir.get(), "server.sock")), std::string(ipc::kVersion),
        std::string(ipc::kBuild),
        [this](const Request& request, const ReplyPtr& reply) { api_->handle(request, reply); });
    if (http_ != nullptr) retired_.push_back(std::move(http_));
    http_ = std::move(http);
    return {};
  }

  /// What the server's folders have to hold, from memory; nothing where they hold it.
  Result<void> write_back() {
    if (ending_) return {};
    const bool gone = !exists(paths_.server_socket());
    TRY(paths_.create());
    TRY(lock_.renew(paths_));
    renew_log(paths_.server_log());
    TRY(projects_->write_back());
    TRY(networks_->registry().write_back());
    sessions_->write_back();
    containers_->write_back();
    unmanaged_->write_back();
    if (!gone) return {};
    // Last: who connects finds everything.
    TRY(listen());
    log("the run folder was deleted under the server; it has been written back");
    return {};
  }

  void end() {
    if (std::exchange(ending_, true)) return;
    manager_.stopping();
    if (http_ == nullptr) return loop_.stop();
    // The socket goes first: who comes now starts another server, which waits for our lock.
    http_->close([this] { loop_.stop(); });
  }

  Paths paths_;
  UniqueFd ready_;
  const ServiceManager manager_ = ServiceManager::take();  // before there is a second thread
  EventLoop loop_;
  ServerLock lock_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<runtime::UserNamespace> user_namespace_;
  std::unique_ptr<builder::Environment> environment_;
  std::unique_ptr<runtime::ProcessRuntime> runtime_;
  runtime::ListenerSearch listeners_;
  net::HostNetwork network_;
  JobPool jobs_;
  std::unique_ptr<Networks> networks_;
  std::unique_ptr<RuntimeLauncher> launcher_;
  std::unique_ptr<Unmanaged> unmanaged_;
  std::unique_ptr<ImageAnswers> image_answers_;
  std::unique_ptr<Projects> projects_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<ContainerNetworks> container_networks_;
  std::unique_ptr<Containers> containers_;
  std::unique_ptr<Images> images_;
  std::unique_ptr<StoreCare> store_;
  std::unique_ptr<Copies> copies_;
  std::unique_ptr<Builds> builds_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> http_;
  std::vector<std::unique_ptr<HttpServer>>
      retired_;  // their sockets were deleted: replies under way
  std::unique_ptr<RunFolder> run_folder_;
  bool ending_ = false;
};

}  // namespace

int run(Paths paths, UniqueFd ready) {
  Server server(std::move(paths), std::move(ready));
  // Jobs under way are cancelled by the destructors; threads that wait for a child end with it.
  auto code = server.run();
  // Before the client that waits for `ready` sees it closed: it reads the log then.
  if (!code) log("cannot continue: " + code.error().text());
  return code ? *code : 1;
}

Result<void> check_start(const Paths& paths) {
  (void)TRY(look_before_start(paths));
  return {};
}

}  // namespace locald::server
