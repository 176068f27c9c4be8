#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "netd/acceptor.h"
#include "netd/connections.h"
#include "netd/dialer.h"
#include "netd/dns.h"
#include "netd/poller.h"

namespace locald::netd {

/// Answers the DNS queries of one network, or of one service: names of its own, all else by the
/// host's resolvers.
class NameServer {
 public:
  struct Sockets {
    std::vector<UniqueFd> udp, tcp;  ///< bound, and listening
  };
  /// @param outside  Asks the resolvers; its kHostResolver is where one takes TCP.
  /// @param ended  Called whenever something that busy() counts is over.
  NameServer(Poller& poller, Sockets sockets, Dialer& outside, Connections& connections,
             std::function<void()> ended);

  /// From the next query on.
  void use(NameTables names) { names_ = std::move(names); }

  int udp(std::size_t index) const { return udp_.at(index)->fd.get(); }
  int tcp(std::size_t index) const { return tcp_.at(index)->listener(); }

  /// Takes no query more; those that it has are answered.
  void retire();
  /// Queries that have no answer yet, and clients over TCP.
  std::size_t busy() const noexcept { return asked_ + clients_.size(); }

 private:
  struct Udp {
    UniqueFd fd;
    Poller::Watch watch;
  };
  /// One that asks over TCP.
  struct Client {
    UniqueFd fd;
    Poller::Watch watch;
    Poller::Timer limit;
    std::string bytes;
  };
  using Place = std::list<Client>::iterator;
  void receive(const std::shared_ptr<Udp>& socket);
  void accept(UniqueFd connection);
  void read(Place client);
  void erase(Place client);

  Poller& poller_;
  Dialer& outside_;
  Connections& connections_;
  std::function<void()> ended_;
  NameTables names_;
  std::uint32_t turn_ = 0;
  std::vector<std::shared_ptr<Udp>> udp_;  ///< held here alone: an answer that is late finds none
  std::vector<std::unique_ptr<Acceptor>> tcp_;
  std::list<Client> clients_;
  std::size_t asked_ = 0;
};

}  // namespace locald::netd
