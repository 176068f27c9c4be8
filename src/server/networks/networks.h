#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "builder/environment.h"
#include "net/network.h"
#include "net/ports.h"
#include "project/service_config.h"
#include "runtime/user_namespace.h"
#include "server/networks/hosts_files.h"
#include "server/networks/network_plan.h"
#include "server/networks/network_registry.h"
#include "server/networks/port_trial.h"
#include "server/networks/project_network.h"

namespace locald::server {

/// The networks of all projects that are up. Loop thread only, where nothing else is said.
class Networks {
 public:
  using Services = NetworkServices;
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    runtime::UserNamespace& user_namespace;
    const Paths& paths;
    std::string netd;  ///< path of locald-netd
    /// As ProjectNetwork::Deps. On any thread.
    std::function<Error(const Error& error, const PublishedPort& port)> explain;
    std::function<void(const std::string& text)> log;  ///< on any thread
    /// The containers of a project that run.
    std::function<std::vector<NamedContainer>(const std::string& project)> running;
    CniSettings cni;
  };
  Networks(Deps deps, NetworkRegistry registry);

  /// Calls its jobs off and waits for them: `explain` is not called by one any more. Then only
  /// attach() may be called, and end().
  void stop() { jobs_.reset(); }

  NetworkRegistry& registry() noexcept { return registry_; }
  const CniSettings& cni() const noexcept { return deps_.cni; }

  /// It has a network, or is about to.
  bool is_live(const std::string& project) const { return find(project) != nullptr; }

  /// Fine where these services' networks can be laid out. Changes nothing.
  /// @param misfit  as of net::Layout::make()
  Result<void> check(const std::string& project, const Services& services,
                     net::Layout::Misfit& misfit) const;
  /// Tries what is wanted and not held (port_trial.h), and calls `done` later, on the loop.
  /// @return false: there is nothing to try, and `done` is not called.
  bool try_ports(const std::string& project, PortTrial trial,
                 std::function<void(Result<void>)> done);
  /// Calls `done` once what was defined until now is in effect, or why it is not: at once, or later
  /// on the loop.
  void when_updated(const std::string& project, std::function<void(const Result<void>&)> done);
  /// Why a service's published ports are not there; empty: they are, as far as is known.
  std::string lacking(const std::string& project, const std::string& service) const;
  /// Whose published port it is that netd `pid`, or this server, holds. Any thread.
  std::optional<net::PortPublisher> publisher(int pid, const net::AddressAndPort& port,
                                              bool udp) const;
  /// From now on these are the project's services.
  Result<void> define(const std::string& project, const Services& services);
  /// The services that the project's network is defined for; null: it has none.
  const Services* services(const std::string& project) const;
  /// A container that is in the project's network beside its services, until the project goes down;
  /// null: no more. @return Errc::cancelled: the project has no network.
  Result<void> set_guest(const std::string& project, const std::string& name,
                         std::shared_ptr<const project::ServiceConfig> guest);
  /// Before the project is defined: one that an earlier server has let in, whose address it keeps.
  void expect_guest(const std::string& project, const std::string& name) {
    expected_[project].insert(name);
  }
  /// What becomes of connections to the service's published ports.
  void set_gate(const std::string& project, const std::string& service, Gate gate);
  /// Where a service on the host listens, and with which sockets; nothing: it does not.
  void set_listening(const std::string& project, const std::string& service,
                     const std::optional<net::Endpoint>& endpoint, std::set<ino_t> sockets);

  /// The networks that a service is in, with its address in each.
  std::vector<std::pair<std::string, std::string>> places(const std::string& project,
                                                          const std::string& service) const;
  /// As ProjectNetwork::probe_place().
  Result<ProjectNetwork::ProbePlace> probe_place(const std::string& project,
                                                 const std::string& service,
                                                 const std::string& host) const;

  /// Connects a service. Any thread; blocks.
  Result<net::Attachment> attach(const std::string& project, const project::ServiceConfig& config,
                                 const std::stop_token& stop);
  /// Continues with what an earlier server has left of the project's network, which is defined.
  /// @param shims  service -> pid of its shim
  void adopt(const std::string& project, const std::map<std::string, int>& shims);
  /// Ends the project's network, and what an earlier server has left of it. Any thread; blocks.
  /// @param forget  its numbers too
  void end(const std::string& project, bool forget = false);
  /// Ends what is left of the networks of all projects that have none here, but for `kept`. On a
  /// job; after all have been defined.
  void end_others(const std::set<std::string>& kept);

 private:
  /// Between attempts: none before the first, then longer each time.
  struct Pause {
    std::chrono::milliseconds next{0};
    std::chrono::milliseconds take();
  };
  /// A process that runs beside the project's services, and is started again when it ends.
  struct Companion {
    UniqueFd pidfd;
    EventLoop::Handle watch;  ///< of its end
    EventLoop::Clock::time_point started{};
    Pause ended;  ///< before another one
  };
  struct Live {
    std::shared_ptr<ProjectNetwork> network;
    Services services, guests;
    bool updating = false, again = false;
    std::vector<std::function<void(const Result<void>&)>> after;  ///< the update in progress
    ProjectNetwork::Lacking lacking;                              ///< as it was logged
    Companion netd, uplink;
    Pause failed;  ///< before another update
    EventLoop::Handle again_later;
    std::string trouble;  ///< of the last update, as it was logged
  };
  Result<std::shared_ptr<const NetworkPlan>> plan(const std::string& project,
                                                  const NetworkRegistry::Project& numbers,
                                                  const Services& services,
                                                  net::Layout::Misfit* misfit = nullptr) const;
  Result<void> redefine(const std::string& project, Services services, Services guests);
  NetworkRegistry::Project numbers(const std::string& project, const Services& services) const;
  std::shared_ptr<ProjectNetwork> find(const std::string& project) const;
  void update(const std::string& project);
  void end_left(const std::string& project) const;
  void update_after(const std::string& project, Pause& pause);
  void note(const std::string& project, Live& live, const Result<void>& done);
  void rename(const std::string& project, const NetworkPlan& before, const NetworkPlan& now);
  void log_ports(const std::string& project, Live& live) const;
  void watch(const std::string& project, UniqueFd pidfd, Companion Live::*which);

  Deps deps_;
  NetworkRegistry registry_;
  std::optional<JobPool> jobs_;
  std::mutex hosts_mutex_;    // of what containers have mounted as /etc/hosts
  mutable std::mutex mutex_;  // of the map alone
  std::map<std::string, Live> live_;
  std::map<std::string, std::set<std::string>> expected_;  // project -> guests
};

}  // namespace locald::server
