#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "builder/environment.h"
#include "net/network.h"
#include "net/probe.h"
#include "runtime/user_namespace.h"
#include "server/networks/cni_places.h"
#include "server/networks/netd.h"
#include "server/networks/network_plan.h"
#include "server/networks/pasta.h"

namespace locald::server {

/// What becomes of a connection to a service's published ports.
enum class Gate : std::uint8_t {
  closed,  ///< nobody listens: the service is down
  reset,   ///< taken and reset: it is about to be up
  open,    ///< carried to the service
};

/// Where a service on the host takes connections, and with which sockets.
struct HostListener {
  net::AddressAndPort at;
  std::set<ino_t> sockets;

  friend bool operator==(const HostListener&, const HostListener&) = default;
};

/// What netd has sockets for, of a network.
struct NetdNetwork {
  bool relays = false;
  std::vector<net::IpAddress> addresses;
};

/// The network of one project, as far as it is there: the sandbox, its netd, the namespaces of
/// services. Made when the first service needs it. Thread-safe; what blocks says so.
class ProjectNetwork {
 public:
  struct Deps {
    builder::Environment& environment;
    runtime::UserNamespace& user_namespace;
    const Paths& paths;
    std::string netd;  ///< path of locald-netd
    /// Says whose a port is that could not be taken. Blocks.
    std::function<Error(const Error& error, const PublishedPort& port)> explain;
    CniSettings cni;
    std::function<void(const std::string& text)> log;  ///< on any thread
    /// netd lacks what an attachment needs: update() is to be called. On any thread.
    std::function<void()> behind;
    /// A netd runs (again), with a descriptor that is readable once it has ended. On any thread.
    std::function<void(UniqueFd pidfd)> started;
    std::function<void(UniqueFd pidfd)> uplink_started;  ///< the same of pasta
  };
  ProjectNetwork(Deps deps, std::string project);
  /// Leaves netd running.
  ~ProjectNetwork() = default;

  /// By NetdPlan::Port::key(): a published port, whose it is, and why it is not there.
  struct Lack {
    std::string service;
    Error why;
  };
  using Lacking = std::map<std::pair<bool, net::AddressAndPort>, Lack>;

  /// What is wanted from now on; put into effect by the next call that blocks.
  void define(std::shared_ptr<const NetworkPlan> plan);
  std::shared_ptr<const NetworkPlan> plan() const { return wanted().plan; }
  /// The same of a service's ports. @return whether anything changes.
  bool set_gate(const std::string& service, Gate gate);
  /// Of a service on the host: containers reach it as long as one of its sockets listens there.
  /// @return whether anything changes.
  bool set_listener(const std::string& service, std::optional<HostListener> listener);

  /// Connects a service, whose ports are taken too. The same namespace at each start, until its
  /// place in the networks changes. That netd serves it is left to update(): until then connections
  /// and questions wait in the sockets that it will have. Blocks.
  /// @return Errc::unavailable: a port is in use.
  Result<net::Attachment> attach(const std::string& service, const std::stop_token& stop);
  /// Makes what services that are about to be up will need, and tells netd what is wanted; starts
  /// another one where it has ended. Blocks.
  Result<void> update(const std::stop_token& stop);
  /// Ports of services that are up which could not be taken, with the reason.
  Lacking lacking() const;
  /// Why its pasta does not run, which should; empty: it does, as far as is known.
  std::string uplink_trouble() const;
  /// Of its netd, which runs or has run; 0: none.
  int netd_pid() const noexcept { return netd_pid_; }
  /// Whether `port` is published, or is about to be: by which service, as in the layout.
  std::optional<std::string> publisher(const net::AddressAndPort& port, bool udp) const;

  /// How a service is probed: from where it is itself. @param host  as HealthConfig::host
  struct ProbePlace {
    net::ProbeSocket socket;
    std::string address;
  };
  /// @return Errc::unavailable: it is not connected.
  Result<ProbePlace> probe_place(const std::string& service, const std::string& host) const;

  /// Continues with what an earlier server has left: its netd, with what that holds, or, where it has
  /// ended, the sandbox and namespaces that shims hold: with the next call that blocks.
  /// @param shims  service -> pid of its shim, proven
  void adopt(std::map<std::string, int> shims);
  /// Ends netd and lets go of the sandbox; nothing is wanted any more. Blocks.
  void end();

 private:
  struct Wanted {
    std::shared_ptr<const NetworkPlan> plan;
    std::map<std::string, Gate> gates;
    std::map<std::string, HostListener> listeners;
  };
  struct Member {
    std::shared_ptr<const UniqueFd> netns;
    std::vector<net::Link> links;   ///< that it was made with
    std::vector<UniqueFd> sockets;  ///< for netd, which does not know it yet
    bool probed = false;            ///< it has its place in probes_
  };
  bool netd_is_in_the_way(const net::Layout& layout) const;
  void adopt_now();
  void adopt_plugins();
  void adopt_netd(const std::set<std::string>& known,
                  const std::function<void(const std::string& service, UniqueFd netns)>& keep);
  void forget_netd();
  void keep_probe(const std::string& service, net::ProbeSocket probe);
  Wanted wanted() const;
  void plan_with_found();
  Result<void> make(Wanted& wanted, const std::string& service, const std::stop_token& stop);
  Result<void> make_parts(const Wanted& wanted, const std::string& service,
                          const std::stop_token& stop);
  std::vector<CniPlace> plugin_places(const NetworkPlan& plan, const std::string& service) const;
  Result<void> check_plugins(const Wanted& wanted, const std::string& service,
                             const std::stop_token& stop);
  Result<void> connect_plugins(const Wanted& wanted, const std::string& service, bool others,
                               const std::stop_token& stop);
  Result<void> add_places(const std::string& needed, std::vector<CniPlace> places,
                          const std::stop_token& stop);
  Result<void> tell(const Wanted& wanted, const std::string& needed);
  Result<void> tell_known(net::NetdPlan plan);
  void note_told(const net::NetdPlan& plan);
  Result<void> bind(net::NetdPlan& plan, const NetworkPlan& wanted, const std::string& needed,
                    std::vector<UniqueFd>& listeners);
  void keep_netd();
  Result<void> start_netd();
  Result<void> start_uplink(const NetworkPlan& plan);
  void keep_uplink();
  Result<bool> reserve(const NetworkPlan& plan, const std::string& service);

  Deps deps_;
  std::string project_;
  std::atomic<int> netd_pid_ = 0;
  mutable std::mutex wanted_mutex_;  // of these seven
  Wanted wanted_;                    // its plan is defined_ with found_
  std::shared_ptr<const NetworkPlan> defined_;
  std::map<std::pair<std::string, std::uint32_t>, net::FoundPlace> found_;  // of plugins
  Lacking lacking_;
  std::string uplink_trouble_;
  std::map<std::string, net::ProbeSocket> probes_;
  std::optional<std::map<std::string, int>> to_adopt_;
  // What there is; one at a time works on it.
  mutable std::mutex mutex_;
  std::atomic<int> attaching_ = 0;  // those that wait for it; they come first
  std::condition_variable attached_;
  std::shared_ptr<const UniqueFd> sandbox_;
  std::map<std::string, Member> members_;
  CniPlaces places_;
  std::set<std::string> unstarted_;  // services that have been connected, and not started since
  std::optional<Netd> netd_;
  std::optional<Netd>
      before_;  ///< of another version, whose sockets netd_ gets with its first plan
  std::optional<Pasta> pasta_;
  std::map<std::uint32_t, NetdNetwork> networks_;           // that netd has the sockets of
  std::set<std::string> services_;                          // the same
  std::set<std::pair<bool, net::AddressAndPort>> ports_;    // that netd has: NetdPlan::Port::key()
  std::map<std::uint32_t, std::vector<UniqueFd>> sockets_;  // of networks that it does not know yet
  std::map<std::pair<bool, net::AddressAndPort>, UniqueFd> reserved_;  // ports, the same
  bool replaced_ = false;  // netd knows an earlier namespace of a service
  std::uint64_t tag_ = 0;
};

}  // namespace locald::server
