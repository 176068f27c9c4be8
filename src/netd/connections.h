#pragma once
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "base/sys/unique_fd.h"
#include "netd/dialer.h"
#include "netd/forward.h"
#include "netd/poller.h"

namespace locald::netd {

/// Clients, each with what it is connected to, or is to be.
class Connections {
 public:
  /// @param ended  Called whenever one is over.
  Connections(Poller& poller, std::function<void()> ended)
      : poller_(poller), ended_(std::move(ended)) {}

  /// Connects `client` to `address` by `dialer`. Where that fails, or never comes about, the client
  /// hears a reset.
  /// @param said  What the client has said already: the first that the other side hears.
  void open(UniqueFd client, Dialer& dialer, const net::IpAddress& address, std::uint16_t port,
            std::string said = {});
  std::size_t size() const noexcept { return all_.size(); }

 private:
  struct Connection {
    UniqueFd client;
    std::string said;
    Poller::Watch watch;  ///< of the client, until it is connected
    Dialer::Pending dial;
    std::optional<Forward> forward;
  };
  using Place = std::list<Connection>::iterator;
  void connected(Place place, Result<UniqueFd> other);
  void erase(Place place);

  Poller& poller_;
  std::function<void()> ended_;
  std::list<Connection> all_;
};

}  // namespace locald::netd
