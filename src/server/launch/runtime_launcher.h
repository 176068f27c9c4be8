#pragma once
#include <atomic>
#include <map>
#include <string>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/sys/unique_fd.h"
#include "builder/environment.h"
#include "net/listeners.h"
#include "net/socket_address.h"
#include "runtime/listener_search.h"
#include "runtime/process_runtime.h"
#include "runtime/user_namespace.h"
#include "server/launch/exec_prober.h"
#include "server/launch/inside_prober.h"
#include "server/launch/port_diagnosis.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// Turns services into processes by way of ProcessRuntime: calls that take
/// milliseconds run on jobs, and come back on the loop.
class RuntimeLauncher final : public Launcher {
 public:
  struct Deps {
    EventLoop& loop;
    runtime::ProcessRuntime& runtime;
    builder::Environment& environment;
    const Paths& paths;
    runtime::UserNamespace& user_namespace;
    const runtime::ListenerSearch& listeners;
    net::Network& network;
    /// Connects a service that is not in the host's network. On a job's thread.
    std::function<Result<net::Attachment>(const LaunchRequest& request,
                                          const std::stop_token& stop)>
        attach;
    /// Where such a service is asked whether it is well. On the loop's thread.
    std::function<Result<InsidePlace>(const LaunchRequest& request, const std::string& host)>
        inside;
    PortDiagnosis::FindPublisher publisher = {};
  };
  explicit RuntimeLauncher(Deps deps);

  JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) override;
  void defined(const std::string& project, const project::ServiceConfig& config) override;
  void removed(const std::string& project, const std::string& service) override;
  /// So that the holder of a port is named as the service that it is.
  void runs(int shim_pid, const std::string& instance, const std::string& name) override {
    ports_.remember(shim_pid, instance, name);
  }
  Json content(const LaunchRequest& request) const override;
  std::string command_note(const LaunchRequest& request, bool success) const override;
  void clean(const std::string& instance, const std::string& nonce,
             std::function<void(Result<void>)> done) override;
  const net::Network& network() const override { return deps_.network; }
  JobPool::Job find_endpoint(int shim_pid, std::uint16_t port,
                             std::function<void(Result<net::EndpointLook>)> done) override;
  void write_back(const std::string& instance, bool ready) override;
  std::unique_ptr<Prober> make_prober(const LaunchRequest& request) override;

  /// What people should hear of the id map, the first time only; empty afterwards. Thread-safe.
  std::string id_map_notice();

  std::size_t unfinished() const;

  /// What to say where a published port could not be taken: whose it is. Thread-safe; blocks.
  Error explain(const Error& error, const net::AddressAndPort& port, bool udp) const;

 private:
  Result<std::unique_ptr<runtime::ServiceHandle>> start(
      const LaunchRequest& request, const std::function<void(const ipc::ProgressEvent&)>& progress,
      const std::function<void(const std::string&)>& notice, const std::stop_token& stop);
  void forget_start(const std::string& instance);
  /// Its configuration with the addresses of those it refers to.
  std::shared_ptr<const project::ServiceConfig> effective(const LaunchRequest& request) const;
  Result<net::EndpointLook> look(int shim_pid, std::uint16_t port) const;

  Deps deps_;
  // Before the jobs that use them.
  PortDiagnosis ports_;
  RunningProbes running_probes_;
  // Apart, so that a slow pull holds up no host service, and no start or hanging command a probe.
  JobPool hosts_, containers_, sweeps_, probes_, looks_;
  std::map<std::string, UniqueFd> notify_sockets_;  // instance -> where it says READY=1
  std::atomic<bool> id_map_told_ = false;
};

}  // namespace locald::server
