#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/sys/unique_fd.h"
#include "builder/container_options.h"
#include "builder/environment.h"
#include "server/instances/container_source.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "server/supervise/launcher.h"
#include "net/listeners.h"
#include "runtime/listener_search.h"
#include "net/ports.h"

namespace locald::server {

/// Turns services into processes by way of ProcessRuntime: calls that take
/// milliseconds run on jobs, and come back on the loop.
class RuntimeLauncher final : public Launcher {
 public:
  struct World {
    EventLoop& loop;
    runtime::ProcessRuntime& runtime;
    builder::Environment& environment;
    const Paths& paths;
    runtime::UserNamespace& user_namespace;
    const runtime::ListenerSearch& listeners;
  };
  explicit RuntimeLauncher(World world);

  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override;
  void defined(const std::string& project, const project::ServiceConfig& config) override;
  void removed(const std::string& project, const std::string& service) override;
  Json content(const LaunchRequest& request) const override;
  std::string command_note(const LaunchRequest& request, bool success) const override;
  void clean(const std::string& instance, const std::string& nonce,
             std::function<void(Result<void>)> done) override;
  JobPool::Job find_endpoint(int shim_pid, std::uint16_t port,
                             std::function<void(Result<net::EndpointLook>)> done) override;
  void write_back(const std::string& instance, bool ready) override;
  std::unique_ptr<Prober> make_prober(const LaunchRequest& request) override;

  /// So that the holder of a port is named as the service that it is. Thread-safe.
  void remember(int shim_pid, const std::string& instance, const std::string& name);

  /// What people should hear of the id map, the first time only; empty afterwards. Thread-safe.
  std::string id_map_notice();

  std::size_t unfinished() const;

 private:
  Result<std::unique_ptr<runtime::ServiceHandle>> start(
      const LaunchRequest& request, const std::function<void(const Json&)>& progress,
      const std::function<void(const std::string&)>& notice, const std::stop_token& stop);
  Result<void> check_port(int port) const;
  /// Its configuration with the addresses of those it refers to.
  std::shared_ptr<const project::ServiceConfig> effective(const LaunchRequest& request) const;
  Result<net::EndpointLook> look(int shim_pid, std::uint16_t port) const;
  /// "service shop/web (pid 4711 (…), user alice)".
  std::string describe(const std::optional<net::PortHolder>& holder) const;

  World world_;
  // Apart, so that a slow pull holds up no host service, and no start or hanging command a probe.
  JobPool hosts_, containers_, sweeps_, probes_, looks_;
  std::map<std::string, UniqueFd> notify_sockets_;  // instance -> where it says READY=1
  std::atomic<bool> id_map_told_ = false;
  mutable std::mutex mutex_;
  std::map<int, std::string> names_;    // shim's pid -> "shop/web"
  std::map<std::string, int> shim_of_;  // instance -> shim's pid
};

/// The world of a host process of this service: what `up` gave, and what the file adds.
runtime::HostProcess host_process(const project::ServiceConfig& config, const project::UserContext& user,
                                  std::vector<std::string> argv);
/// Opens the folder it starts in, which is used as it is found here. Blocks for microseconds.
/// @return Errc::not_found, Errc::denied: not there, no folder, or not to be had (PathJudge).
Result<void> open_workdir(runtime::HostProcess& process, const PathJudge& judge);

/// What the file says of a container, in the words of the builder room.
Result<builder::ContainerOptions> container_options(const LaunchRequest& request);
/// Where the container of a service comes from.
Result<builder::SourceRequest> source_request(const LaunchRequest& request);
/// The service's app with what its build takes of the world of whoever runs it: proxies and the
/// place of certificates.
cnb::AppSpec app_of(const project::ServiceConfig& config, const project::UserContext& user);
/// Names the writable folder of a service's container: a new one after a change of its
/// configuration.
std::string container_key(const std::string& project, const project::ServiceConfig& config);

}  // namespace locald::server
