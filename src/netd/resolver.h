#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/sys/unique_fd.h"
#include "net/socket_address.h"
#include "netd/poller.h"

namespace locald::netd {

/// A destination that stands for the host's best resolver: connections to 0.0.0.0 never leave a
/// container, so no other has this one.
inline const net::AddressAndPort kHostResolver{net::IpAddress(), 53};

/// Asks the host's resolvers, over UDP, in their order: the next one where one does not answer, or
/// says that it will not (REFUSED, SERVFAIL).
class Resolver {
 public:
  /// With an answer as it came, or one of SERVFAIL.
  using Done = std::function<void(std::string reply)>;

  explicit Resolver(Poller& poller) : poller_(poller) {}

  /// From now on, also for queries that have no answer yet.
  void use(std::vector<net::AddressAndPort> servers) {
    servers_ = std::move(servers);
    best_ = 0;
  }
  /// The one that has answered last, else the first; null: there is none.
  const net::AddressAndPort* best() const noexcept {
    return servers_.empty() ? nullptr : &servers_[best_];
  }

  void ask(std::string query, Done done);

 private:
  struct Asked {
    std::string query;
    Done done;
    std::size_t tried = 0, server = 0;
    UniqueFd socket;
    Poller::Watch watch;
    Poller::Timer limit;
  };
  void try_next(std::uint64_t id);
  void heard(std::uint64_t id);
  void finish(std::uint64_t id, std::string reply);

  Poller& poller_;
  std::vector<net::AddressAndPort> servers_;
  std::size_t best_ = 0;
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t next_ = 1;
};

}  // namespace locald::netd
