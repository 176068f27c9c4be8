#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/netd_handover.h"
#include "net/netd_plan.h"
#include "netd/acceptor.h"
#include "netd/connections.h"
#include "netd/dialer.h"
#include "netd/name_server.h"
#include "netd/poller.h"
#include "netd/udp.h"

namespace locald::netd {

/// What holds a project's connections: its published ports, the relay to the outside, and its
/// names.
class Netd {
 public:
  /// How many at once: more TCP connections wait, more UDP flows push out others.
  struct Limits {
    std::size_t connections, flows;
    /// What goes with `fds` descriptors, of which connections need two.
    static Limits of(std::size_t fds);
  };
  /// @param over  Called when it has retired and nothing is left to be done.
  Netd(Poller& poller, Dialer& inside, Dialer& outside, Limits limits, std::function<void()> over);

  /// From now on; connections that there are stay. Networks are never taken away: they end with
  /// the sandbox.
  /// @return Errc::invalid_input: it does not go with `handed`, or with what there is; nothing has
  ///         changed then.
  Result<void> apply(net::NetdPlan plan, std::vector<UniqueFd> handed);

  /// A part of what it has, for another netd: as many things, from the one with the number `from`
  /// on, as one packet carries.
  struct Share {
    net::NetdPlan plan;    ///< all of it handed over
    std::vector<int> fds;  ///< as the plan says
    std::size_t next = 0;  ///< where to continue; 0: that was all
  };
  /// @return Errc::invalid_input: it has retired.
  Result<Share> share(std::size_t from) const;

  /// Takes no connection, query or plan from now on.
  void retire();

  /// -1: not found.
  int service_namespace(const std::string& name) const;

 private:
  struct Network {
    net::NetdPlan::Network plan;
    std::shared_ptr<const Names> names;
    std::unique_ptr<NameServer> server;
    std::vector<std::unique_ptr<Acceptor>> relays;  ///< one for each address
  };
  /// The connections of one are in `connections_`; of UDP, all is in `udp_`.
  struct Port {
    std::optional<net::AddressAndPort> target;
    std::unique_ptr<Acceptor> acceptor;
  };
  struct Service {
    UniqueFd netns;
    std::unique_ptr<NameServer> server;
  };
  using PortKey = decltype(net::NetdPlan::Port().key());

  Result<void> check(const net::NetdPlan& plan, std::size_t handed) const;
  void take(const net::NetdPlan::Network& plan, std::vector<UniqueFd> sockets);
  void apply_ports(const net::NetdPlan& plan, net::NetdSockets& handed);
  void apply_services(const net::NetdPlan& plan, net::NetdSockets& handed);
  std::unique_ptr<NameServer> name_server(NameServer::Sockets sockets);
  std::unique_ptr<Acceptor> acceptor(UniqueFd listener, std::function<void(UniqueFd)> accepted);
  void relay(UniqueFd client);
  void look_whether_over();

  Poller& poller_;
  Dialer& inside_;
  Dialer& outside_;
  const Limits limits_;
  std::function<void()> over_;
  bool retired_ = false;
  Connections connections_;
  UdpPorts udp_;
  std::map<std::uint32_t, Network> networks_;
  std::map<PortKey, Port> ports_;
  std::map<std::string, Service> services_;
};

}  // namespace locald::netd
