#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys/unique_fd.h"
#include "net/socket_address.h"
#include "netd/dialer.h"
#include "netd/poller.h"

namespace locald::netd {

/// Published UDP ports. Each address that sends to one has a flow: a socket inside, connected to
/// the port's target, whose answers go back to that address. A flow ends when nothing has passed
/// for a while, when its target goes, or when it is the one that was quiet for longest and another
/// is wanted.
class UdpPorts {
 public:
  using Key = net::AddressAndPort;
  struct Limits {
    std::size_t flows = 2048;
    std::chrono::milliseconds idle{60'000};
    std::chrono::milliseconds idle_retired{2'000};  ///< its clients are heard by another netd
  };
  /// @param ended  Called whenever a flow is over.
  UdpPorts(Poller& poller, Dialer& inside, std::function<void()> ended)
      : UdpPorts(poller, inside, std::move(ended), Limits()) {}
  UdpPorts(Poller& poller, Dialer& inside, std::function<void()> ended, Limits limits);

  /// @param socket  Bound; where that is to any address, it tells which one a packet was sent to.
  void open(const Key& port, UniqueFd socket);
  void close(const Key& port);
  /// Nothing: what is sent there is dropped.
  void use(const Key& port, std::optional<net::AddressAndPort> target);
  int socket(const Key& port) const { return ports_.at(port)->fd.get(); }

  /// Hears no more; what was asked is still answered.
  void retire();
  std::size_t flows() const noexcept { return flows_.size(); }

 private:
  /// Which of this machine's addresses a packet was sent to: the answer comes from there.
  struct Local {
    int level = 0;  ///< IPPROTO_IP, IPPROTO_IPV6; 0: the socket has one address
    in_pktinfo v4{};
    in6_pktinfo v6{};
  };
  struct Port {
    UniqueFd fd;
    Poller::Watch watch;
    std::optional<net::AddressAndPort> target;
  };
  struct Flow {
    std::string key;
    std::shared_ptr<Port> port;
    sockaddr_storage client{};
    socklen_t client_size = 0;
    Local local;
    Dialer::Pending dial;
    UniqueFd inside;
    Poller::Watch watch;
    std::vector<std::string> waiting;  ///< until it is connected
    Poller::Clock::time_point last;
  };
  using Place = std::list<Flow>::iterator;

  void receive(const std::shared_ptr<Port>& port);
  Place flow_of(const std::shared_ptr<Port>& port, const sockaddr_storage& client,
                socklen_t client_size, const Local& local);
  void forward(Place flow, std::string_view bytes);
  void connected(Place flow, Result<UniqueFd> socket);
  void answer(Place flow);
  void touch(Place flow);
  void erase(Place flow);
  void erase_of(const Port* port);
  void expire();

  Poller& poller_;
  Dialer& inside_;
  std::function<void()> ended_;
  Limits limits_;
  std::map<Key, std::shared_ptr<Port>> ports_;
  std::list<Flow> flows_;  ///< the quietest first
  std::map<std::string, Place, std::less<>> by_key_;
  std::size_t waiting_ = 0;  ///< bytes
  Poller::Timer timer_;
};

}  // namespace locald::netd
