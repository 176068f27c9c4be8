#pragma once
#include <list>
#include <string>
#include <vector>

#include "netd/acceptor.h"
#include "netd/connections.h"
#include "netd/dialer.h"
#include "netd/dns.h"
#include "netd/poller.h"

namespace locald::netd {

/// Answers the DNS queries of one network: names of its own, all else by the host's resolvers.
class NameServer {
 public:
  struct Sockets {
    std::vector<UniqueFd> udp, tcp;  ///< bound, and listening, at port 53 of the bridge's addresses
  };
  /// @param outside  Asks the resolvers; its kHostResolver is where one takes TCP.
  NameServer(Poller& poller, Sockets sockets, Dialer& outside, Connections& connections);

  /// From the next query on.
  void use(Names names) { names_ = std::move(names); }

 private:
  /// One that asks over TCP.
  struct Client {
    UniqueFd fd;
    Poller::Watch watch;
    Poller::Timer limit;
    std::string bytes;
  };
  using Place = std::list<Client>::iterator;
  void receive(int socket);
  void accept(UniqueFd connection);
  void read(Place client);

  Poller& poller_;
  Dialer& outside_;
  Connections& connections_;
  Names names_;
  std::uint32_t turn_ = 0;
  std::vector<UniqueFd> udp_;
  std::vector<Poller::Watch> watches_;
  std::list<Acceptor> tcp_;
  std::list<Client> clients_;
};

}  // namespace locald::netd
