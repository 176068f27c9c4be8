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

#include "base/event_loop.h"
#include "base/fs_at.h"
#include "base/job_pool.h"
#include "base/paths.h"
#include "base/spawn.h"
#include "base/sys.h"
#include "builder/environment.h"
#include "builder/image_source.h"
#include "ipc/version.h"
#include "runtime/orphans.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "server/api.h"
#include "server/builds.h"
#include "server/containers.h"
#include "server/http_server.h"
#include "server/images.h"
#include "server/project_registry.h"
#include "server/projects.h"
#include "server/runtime_launcher.h"
#include "server/sessions.h"
#include "server/user_config.h"
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
  return find_program(name, program_search_path()).value_or("");
}

class Server {
 public:
  /// `ready`: where a byte goes when it listens (ipc/server_start.cc), or none.
  Server(Paths paths, UniqueFd ready)
      : paths_(std::move(paths)), ready_(std::move(ready)), jobs_(loop_, 8) {}

  Result<int> run() {
    TRY(paths_.create());
    auto lock = lock_file(paths_.server_lock(), /*wait=*/false);
    if (!lock) {
      if (lock.error().code() == Errc::already_exists)
        return Error(Errc::already_exists, "a server is running already")
            .with_hint("see it: locald server status");
      return std::move(lock).error();
    }
    lock_ = std::move(*lock);
    const UserConfig config = TRY(load_user_config(paths_.config_file()));
    const std::string shim = TRY(find_own_program("locald-shim"));
    TRY(runtime::become_subreaper());
    raise_descriptor_limit();
    log(fmt::format("locald-server {} ({}) starts, pid {}", ipc::kVersion, ipc::kBuild,
                    ::getpid()));

    user_namespace_ = std::make_unique<runtime::UserNamespace>(shim);
    const auto userns = [ns = user_namespace_.get()] { return ns->fd(); };
