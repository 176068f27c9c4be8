// locald-server: wires the rooms together, and runs the loop. `run` is the server,
// `worker` one job inside the user namespace (worker_main.h).
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"
#include "base/sys/spawn.h"
#include "base/sys/standard_fds.h"
#include "base/sys/sys.h"
#include "builder/environment.h"
#include "builder/image_source.h"
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
#include "server/instances/unmanaged.h"
#include "server/launch/runtime_launcher.h"
#include "server/projects/project_registry.h"
#include "server/projects/projects.h"
#include "server/state/run_folder.h"
#include "server/state/server_lock.h"
#include "server/supervise/notify_prober.h"
#include "server/worker_main.h"

namespace locald::server {
namespace {

/// One line of the server's log: what a person looks for there.
void log(const std::string& text) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm t{};
  ::gmtime_r(&now.tv_sec, &t);
  fmt::print(stderr, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {}\n", t.tm_year + 1900,
             t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, now.tv_nsec / 1000000, text);
}

/// Many services are many descriptors. Host services get the limits that `up` sent, not these.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string find_runtime(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  return find_program(name, project::program_search_path()).value_or("");
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
    set_aside_what_is_no_folder();
    const auto [config, shim] = TRY(look_before_start(paths_));
    TRY(runtime::become_subreaper());
    TRY(watch_signals());  // before there is another thread: it would take them, and ignore them
    raise_descriptor_limit();
    log(fmt::format("locald-server {} ({}) starts, pid {}", ipc::kVersion, ipc::kBuild,
                    ::getpid()));

    user_namespace_ = std::make_unique<runtime::UserNamespace>(shim);
    const auto userns = [ns = user_namespace_.get()] { return ns->fd(); };
    runtime_ = std::make_unique<runtime::ProcessRuntime>(runtime::ProcessRuntime::Options{
        paths_, shim, find_runtime(config.runtime), userns,
        [this](const std::string& owner, std::vector<SharedFolder> folders) {
          environment_->shared().set(owner, std::move(folders));
        }});
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
    launcher_ = std::make_unique<RuntimeLauncher>(RuntimeLauncher::World{
        loop_, *runtime_, *environment_, paths_, *user_namespace_, listeners_, network_});
    std::string notice;
    auto registry = TRY(ProjectRegistry::load(paths_.projects_file(), notice));
    if (!notice.empty()) log(std::exchange(notice, {}));
    builds_ = std::make_unique<Builds>(Builds::World{loop_, *environment_});
    unmanaged_ = std::make_unique<Unmanaged>(Unmanaged::World{
        loop_, *runtime_, jobs_, paths_,
        [this](const Json& body, const ReplyPtr& reply) { projects_->down(body, reply); }, log});
    projects_ = std::make_unique<Projects>(
        Projects::World{loop_, *launcher_, paths_, jobs_, listeners_, environment_->shared(),
                        [this](const RunningApp& app, std::function<void(const Json&)> progress,
                               std::function<void(Result<Json>)> done) {
                          return builds_->ensure(app, std::move(progress), std::move(done));
                        },
                        [this](const std::string& project, bool volumes,
                               std::function<void(Result<void>)> done) {
                          jobs_.run<Result<void>>(
                              "remove the data of " + project,
                              [this, project, volumes](const std::stop_token& stop) {
                                return remove_data(*environment_, project, volumes, stop);
                              },
                              std::move(done));
                        },
                        [this](const std::string& project, std::function<void()> done) {
                          sessions_->end(project, [this, project, done = std::move(done)] {
                            unmanaged_->end(project, {}, /*at_once=*/true,
                                            [done](const Result<void>&) { done(); });
                          });
                        },
                        unmanaged_.get()},
        std::move(registry));
    const auto clean = [this](const std::string& instance, const std::string& nonce,
                              std::function<void(Result<void>)> done) {
      jobs_.run<Result<void>>(
          "clean " + instance,
          [this, instance, nonce](const std::stop_token&) {
            return runtime_->clean(instance, nonce);
          },
          std::move(done));
    };
    sessions_ = std::make_unique<Sessions>(Sessions::World{
        loop_, *environment_, *projects_,
        [this](const std::string& name, Sessions::Start start,
               std::function<void(Sessions::Started)> done) {
          jobs_.run<Sessions::Started>(
              name,
              [this, start = std::move(start)](const std::stop_token&) { return start(*runtime_); },
              std::move(done));
        },
        clean});
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
    const auto discard_container = [this](const std::string& id, const std::string& nonce,
                                          std::function<void(Result<void>)> done) {
      jobs_.run<Result<void>>(
          "remove container " + id,
          [this, id, nonce](const std::stop_token& stop) {
            return Containers::discard({*runtime_, *environment_, {}}, id, nonce, stop);
          },
          std::move(done));
    };
    containers_ = std::make_unique<Containers>(TRY(Containers::load(
        {loop_, *environment_, paths_, start_container, clean, discard_container}, notice)));
    if (!notice.empty()) log(notice);
    images_ = std::make_unique<Images>(Images::World{loop_, *environment_, jobs_});
    api_ = std::make_unique<Api>(Api::World{
        loop_, paths_, jobs_, *projects_, *sessions_, *containers_, *images_, *builds_, *launcher_,
        *user_namespace_, config.runtime, [this] { end(); }, unmanaged_.get()});
    TRY(adopt({paths_, *runtime_, *user_namespace_, *launcher_, *projects_, *sessions_,
               *containers_, *unmanaged_, log}));
    remove_stale_notify_sockets(paths_);
    environment_->in_background("clean up after builds", [this](const std::stop_token& stop) {
      cnb::after_crash(*environment_, stop);
    });

    TRY(listen());
    run_folder_ = std::make_unique<RunFolder>(
        loop_, paths_, [this] { return write_back(); }, log);
    if (ready_) (void)!::write(ready_.get(), "1", 1);
    ready_.reset();
    loop_.run();
    log("locald-server ends; services keep running");
    return 0;
  }

 private:
  /// Signals are blocked in every thread and read here. Children get a fresh mask (base/sys/spawn.h).
  Result<void> watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, s);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return Error::from_errno(errno, "signalfd");
    signal_watch_ = loop_.watch_readable(signals_.get(), [this] {
      signalfd_siginfo info{};
      bool stop = false, child = false;
      while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        stop = stop || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
        child = child || info.ssi_signo == SIGCHLD;
      }
      // Not at once: where many end, or start through a process in between, one look does for all
      // of them.
      if (child) reap_soon();
      if (stop) end();
    });
    return {};
  }

  void reap_soon() {
    if (reaping_) return;
    reaping_ = true;
    reap_timer_ = loop_.after(std::chrono::milliseconds(20), [this] {
      reaping_ = false;
      if (!runtime::reap_orphans()) reap_soon();
    });
  }

  /// Files and pipes in the place of folders: what would be made in there could not be. Not links:
  /// they may lead to what is just not mounted.
  void set_aside_what_is_no_folder() {
    for (const std::string& path :
         {paths_.images(), paths_.layers(), paths_.facts(), paths_.containers(),
          paths_.data() + "/volumes", paths_.cnb(), paths_.state() + "/services",
          paths_.state() + "/builds", paths_.instance_records(), paths_.run_projects(),
          paths_.run() + "/notify", paths_.instances(), paths_.bundles(), paths_.runc_root()}) {
      struct stat st {};
      if (::lstat(path.c_str(), &st) != 0 || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) continue;
      const auto aside = set_aside(AT_FDCWD, path);
      log(aside ? path + " was not a folder; it was set aside as " + *aside : aside.error().text());
    }
  }

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
    if (http_ != nullptr) deaf_.push_back(std::move(http_));
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
    if (http_ == nullptr) return loop_.stop();
    // The socket goes first: who comes now starts another server, which waits for our lock.
    http_->close([this] { loop_.stop(); });
  }

  static Result<void> remove_data(builder::Environment& environment, const std::string& project,
                                  bool volumes, const std::stop_token& stop);

  Paths paths_;
  UniqueFd ready_;
  EventLoop loop_;
  ServerLock lock_;
  UniqueFd signals_;
  std::unique_ptr<runtime::UserNamespace> user_namespace_;
  std::unique_ptr<builder::Environment> environment_;
  std::unique_ptr<runtime::ProcessRuntime> runtime_;
  runtime::ListenerSearch listeners_;
  net::HostNetwork network_;
  JobPool jobs_;
  std::unique_ptr<RuntimeLauncher> launcher_;
  std::unique_ptr<Unmanaged> unmanaged_;
  std::unique_ptr<Projects> projects_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Containers> containers_;
  std::unique_ptr<Images> images_;
  std::unique_ptr<Builds> builds_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> http_;
  std::vector<std::unique_ptr<HttpServer>> deaf_;  // their sockets were deleted: replies under way
  std::unique_ptr<RunFolder> run_folder_;
  EventLoop::Handle signal_watch_, reap_timer_;
  bool reaping_ = false;
  bool ending_ = false;
};

/// Writable layers of the project's containers (all generations of a service's configuration), and
/// its volumes.
Result<void> Server::remove_data(builder::Environment& environment, const std::string& project,
                                 bool volumes, const std::stop_token& stop) {
  std::vector<std::string> keys;
  auto dir = sys::open(environment.paths().containers(), O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code() != Errc::not_found) return std::move(dir).error();
  if (dir)
    TRY(list_dir(dir->get(), [&](const std::string& key, unsigned char) -> Result<void> {
      // Names hold no dots (container_key).
      if (key.starts_with(project + ".")) keys.push_back(key);
      return {};
    }));
  for (const std::string& key : keys) TRY(builder::discard_container(environment, key));
  TRY(builder::sweep_discarded(environment, stop));  // one worker for all
  if (volumes) TRY(builder::remove_volumes(environment, project, stop));
  return {};
}

/// Nothing is changed, no lock is taken: the server that runs goes on.
int check_server() {
  const auto look = []() -> Result<void> {
    (void)TRY(look_before_start(TRY(Paths::from_process())));
    return {};
  };
  if (const auto looked = look(); !looked) {
    fmt::print(stderr, "{}\n", looked.error().text());
    return 1;
  }
  fmt::print("locald-server {} ({})\n", ipc::kVersion, ipc::kBuild);
  return 0;
}

int run_server(UniqueFd ready) {
  if (ready) ::fcntl(ready.get(), F_SETFD, FD_CLOEXEC);
  // Few arenas: many short-lived threads must not each keep memory of their own.
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(077);
  if (::chdir("/") != 0) return 1;
  auto paths = Paths::from_process();
  if (!paths) {
    fmt::print(stderr, "locald-server: {}\n", paths.error().text());
    return 1;
  }
  Server server(std::move(*paths), std::move(ready));
  auto code = server.run();
  if (!code) {
    log("cannot continue: " + code.error().text());
    return 1;
  }
  // Jobs under way are cancelled by the destructors; threads that wait for a child end with it.
  return *code;
}

}  // namespace
}  // namespace locald::server

int main(int argc, char** argv) {
  locald::fill_standard_fds();
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "worker") return locald::server::worker_main(argc, argv);
  if (verb == "run" && argc == 2) return locald::server::run_server({});
  if (verb == "run" && argc == 4 && std::string_view(argv[2]) == "--ready-fd")
    return locald::server::run_server(locald::UniqueFd(::atoi(argv[3])));
  if (verb == "--check" && argc == 2) return locald::server::check_server();
  if (verb == "--version") {
    fmt::print("locald-server {} ({})\n", locald::ipc::kVersion, locald::ipc::kBuild);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  fmt::print(stderr, "usage: locald-server run\nPeople use: locald server run\n");
  return 2;
}
