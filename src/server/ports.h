#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

/// TCP ports of the host's network: which are free, who holds one.
namespace locald::server {

/// A port that nobody listens on now, from the kernel's ephemeral range.
Result<std::uint16_t> free_port();

/// Fine, or why nobody can listen on `port` of all addresses now.
/// @return Errc::already_exists: somebody listens there; Errc::denied: it needs
///         privileges (below net.ipv4.ip_unprivileged_port_start).
Result<void> check_port_free(std::uint16_t port);

struct Listener {
  std::string address;  ///< "127.0.0.1", "0.0.0.0", "::", …
  std::uint16_t port = 0;
  ino_t inode = 0;  ///< of the socket
  uid_t uid = 0;
  bool loopback = false;
};
/// All listening TCP sockets, from /proc/net/tcp and tcp6.
Result<std::vector<Listener>> listeners();
/// The same from the text of such a file (for tests and the fuzzer); lines it cannot read are left
/// out.
std::vector<Listener> parse_proc_net_tcp(const std::string& text, bool v6);

struct PortHolder {
  pid_t pid = 0;        ///< 0: somebody else's, whose pid we may not see
  std::string command;  ///< as `ps` shows it, at most 120 bytes; empty without pid
  std::string user;     ///< name or number
};
/// Who holds the listening socket; nullopt when nobody listens on `port`.
std::optional<PortHolder> find_port_holder(std::uint16_t port);
/// "pid 4711 (python3 -m http.server 8000), user alice"
std::string to_string(const PortHolder& holder);

/// The listeners of the process `root` and everything below it (its children's children too),
/// of `all` (listeners()): asked once for many roots.
std::vector<Listener> listeners_below(pid_t root, const std::vector<Listener>& all);

}  // namespace locald::server
