#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/json/fields.h"
#include "base/result.h"

/// Listening TCP sockets. Whose they are: runtime/listener_search.h.
namespace locald::net {

struct Listener {
  std::string address;  ///< "127.0.0.1", "0.0.0.0", "::1", …; always an address
  std::uint16_t port = 0;
  ino_t inode = 0;  ///< of the socket: names it in /proc/PID/fd
  uid_t uid = 0;    ///< who made it, as this process's user namespace counts
  bool loopback = false;
  bool dual = false;        ///< "::", and takes IPv4 too
  std::uint64_t netns = 0;  ///< inode of its network namespace; 0: the one of this process

  bool v6() const noexcept { return address.find(':') != std::string::npos; }
  bool any() const noexcept { return address == "0.0.0.0" || address == "::"; }
  friend bool operator==(const Listener&, const Listener&) = default;

  static const Fields& fields();  ///< between a worker and its server
};

/// A TCP socket of this network namespace.
struct TcpSocket {
  Listener local;
  bool listening = false;
  bool lingers = false;  ///< TIME_WAIT: a connection that has ended; nobody's any more
};
/// Calls `visit` with those in one of `states` (bits 1 << TCP_…) that have `port` (0: any). Asks
/// the kernel for just these (sock_diag(7)): some 20 µs for the listening ones.
Result<void> each_tcp_socket(std::uint16_t port, unsigned states,
                             const std::function<void(const TcpSocket&)>& visit);
/// The UDP sockets that have `port`. None of them listens.
Result<void> each_udp_socket(std::uint16_t port,
                             const std::function<void(const TcpSocket&)>& visit);

/// The listening TCP sockets of this process's network namespace, as each_tcp_socket() finds them:
/// quick enough for the loop's thread, but for the very first time, which may load the kernel's
/// module.
/// @param port  0: all.
Result<std::vector<Listener>> quick_listeners(std::uint16_t port = 0);
/// The same; by /proc/net/tcp where the kernel does not know sock_diag, which takes as long as
/// there are connections.
/// @param port  0: all.
Result<std::vector<Listener>> listeners(std::uint16_t port = 0);
/// From the text of /proc/net/tcp or tcp6; lines it cannot read are left out. Such text does not
/// tell whether "::" takes IPv4: it counts as if.
std::vector<Listener> parse_proc_net_tcp(const std::string& text, bool v6);

/// The listeners of the network namespace that `pid` ("self": this process) is in, as
/// /proc/PID/net tells them; `netns` is put into each.
Result<std::vector<Listener>> listeners_by_text(const std::string& pid, std::uint64_t netns);

/// What a process tree holds.
struct TreeListeners {
  std::vector<Listener> listeners;
  /// Owners of the processes whose descriptors this process may not see: their listeners are not
  /// among the above.
  std::set<uid_t> unreadable;
  /// Sockets of such users that a process outside of the tree holds.
  std::set<ino_t> others;
};
}  // namespace locald::net
