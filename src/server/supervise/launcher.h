#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/loop/job_pool.h"
#include "ipc/messages/events.h"
#include "net/network.h"
#include "project/service_config.h"
#include "runtime/process_runtime.h"
#include "runtime/service_handle.h"
#include "server/supervise/health.h"

namespace locald::server {

/// One start of one service.
struct LaunchRequest {
  std::string project;
  std::string dir;       ///< of the project: relative paths start here
  std::string instance;  ///< short id
  std::string nonce;
  std::uint64_t life = 0;          ///< of the service: counts its starts
  int restarts = 0;                ///< as status shows them; comes back at adoption
  bool built = false;              ///< its app a moment ago: it is not to be looked at again
  std::vector<std::string> hosts;  ///< names of the project's services
  std::shared_ptr<const project::ServiceConfig> config;
  std::shared_ptr<const project::UserContext> user;
  /// Of the services that run: those that `config` refers to (ServiceConfig::late), and those that
  /// have been found to listen elsewhere than most.
  struct Peer {
    int shim_pid = 0;
    std::uint16_t port = 0;
    std::optional<net::Endpoint> endpoint;  ///< where it has been found to listen
  };
  std::map<std::string, Peer> peers = {};
  /// Of `run`: somebody is attached to it, and there is no log of it.
  struct OneOff {
    std::string service;  ///< whose it is
    bool open_stdin = false;
    std::uint16_t rows = 24, columns = 80;
  };
  std::optional<OneOff> one_off = {};
};

/// Where the supervisor ends and processes begin: RuntimeLauncher has the real
/// ones, tests have FakeLauncher. Loop thread only; all callbacks come there too,
/// never from within the call.
class Launcher {
 public:
  virtual ~Launcher() = default;

  struct LaunchEvents {
    std::function<void(const ipc::ProgressEvent& progress)> progress;
    std::function<void(const std::string& text)> notice;  ///< what the user should hear once
    std::function<void(Result<std::unique_ptr<runtime::ServiceHandle>>)>
        done;  ///< once, also after a cancel
  };
  /// What the service's next start will use: said before it, and when a new server has read it.
  virtual void defined(const std::string& project, const project::ServiceConfig& config) {
    (void)project;
    (void)config;
  }
  /// It is no longer the project's.
  virtual void removed(const std::string& project, const std::string& service) {
    (void)project;
    (void)service;
  }

  /// Starts it; on error nothing is left.
  virtual JobPool::Job launch(const LaunchRequest& request, LaunchEvents events) = 0;

  /// The service's instance runs under that shim, started by this server or an earlier one.
  virtual void runs(int /*shim_pid*/, const std::string& /*instance*/,
                    const std::string& /*name*/) {}

  /// What a running service was made of, for its status: of an app, which of its builds
  /// ({app, generation, built_at}); null for other kinds. Microseconds.
  virtual Json content(const LaunchRequest& request) const = 0;

  /// What a container that ended at once had executed, and whose idea that was; "" where there is
  /// nothing to say. Before clean(). Microseconds.
  virtual std::string command_note(const LaunchRequest& /*request*/, bool /*success*/) const {
    return {};
  }

  /// Removes what an ended instance leaves (ProcessRuntime::clean).
  virtual void clean(const std::string& instance, const std::string& nonce,
                     std::function<void(Result<void>)> done) = 0;

  /// The one that services are in.
  virtual const net::Network& network() const = 0;

  /// Looks on a job for where the service of that shim takes connections on `port`, and for whose
  /// that port is. `done` comes once, on the loop; an error: it could not be looked.
  virtual JobPool::Job find_endpoint(int shim_pid, std::uint16_t port,
                                     std::function<void(Result<net::EndpointLook>)> done) = 0;

  /// Makes again what the instance needs of the run folder beside its own folder, where somebody
  /// has deleted that. @param ready  it has said so.
  virtual void write_back(const std::string& /*instance*/, bool /*ready*/) {}

  /// Probes by a command in the service's environment; by log or notification as the configuration
  /// says; of a service that is not in the host's network by any kind. Null where there is none.
  virtual std::unique_ptr<Prober> make_prober(const LaunchRequest& request) = 0;
};

}  // namespace locald::server
