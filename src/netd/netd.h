#pragma once
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "net/netd_plan.h"
#include "netd/acceptor.h"
#include "netd/connections.h"
#include "netd/dialer.h"
#include "netd/name_server.h"
#include "netd/poller.h"

namespace locald::netd {

/// What holds a project's connections: its published ports, the relay to the outside, and its
/// names.
class Netd {
 public:
  Netd(Poller& poller, Dialer& inside, Dialer& outside)
      : poller_(poller), inside_(inside), outside_(outside), connections_(poller) {}

  /// From now on; connections that there are stay. Networks are never taken away: they end with
  /// the sandbox.
  /// @return Errc::invalid_input: it does not go with `handed`, or with what there is; nothing has
  ///         changed then.
  Result<void> apply(net::NetdPlan plan, std::vector<UniqueFd> handed);

 private:
  struct Network {
    std::unique_ptr<NameServer> names;
    std::list<Acceptor> relays;
  };
  struct Port {
    std::optional<net::AddressAndPort> target;
    std::unique_ptr<Acceptor> acceptor;
  };
  Result<void> check(const net::NetdPlan& plan, std::size_t handed) const;
  Network make(const net::NetdPlan::Network& plan, std::vector<UniqueFd>::iterator& next);
  void relay(UniqueFd client);

  Poller& poller_;
  Dialer& inside_;
  Dialer& outside_;
  Connections connections_;
  std::map<std::uint32_t, Network> networks_;
  std::map<net::AddressAndPort, Port> ports_;
};

}  // namespace locald::netd
