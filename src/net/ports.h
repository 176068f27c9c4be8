#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/socket_address.h"

/// TCP ports of the host's network: which are free, who holds one.
namespace locald::net {

/// A port that nobody has now, of IPv4 and IPv6, from the kernel's ephemeral range.
Result<std::uint16_t> free_port();

/// Fine, or why nobody can listen on `port` of all addresses now, of IPv4 and (where this machine
/// has it) IPv6. Asks as a server would: with SO_REUSEADDR.
/// @return Errc::already_exists: somebody has it; Errc::denied: it needs
///         privileges (below net.ipv4.ip_unprivileged_port_start).
Result<void> check_port_free(std::uint16_t port);

/// The first port that this process may listen on: 0 for root, else the kernel's
/// net.ipv4.ip_unprivileged_port_start.
std::uint16_t first_allowed_port();
/// @return Errc::denied: `port` lies below `first`, and needs privileges.
Result<void> check_port_allowed(std::uint16_t port, std::uint16_t first);

/// Whose published port one is.
struct PortPublisher {
  std::string project, service;
};

struct PortHolder {
  pid_t pid = 0;         ///< 0: somebody else's, whose pid we may not see
  std::string command;   ///< as `ps` shows it, at most 120 bytes; empty without pid
  std::string user;      ///< name or number
  std::string address;   ///< where it listens
  bool lingers = false;  ///< nobody: connections that have ended (TIME_WAIT); all else is empty
};
/// Who has `port`: who listens there, else whose connection it is, else what lingers; nullopt when
/// nobody has. Blocks: looks through all of /proc.
/// @param among  only one of these sockets; empty: any.
std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::set<ino_t>& among = {});
/// The holder of a socket that leaves no place for one at `at`; nullopt: none is seen.
/// Blocks as the other.
/// @param but  what listens at these addresses does not count
std::optional<PortHolder> find_port_holder(const AddressAndPort& at, bool udp,
                                           const std::set<IpAddress>& but = {});
/// Addresses of this host's, at most five, loopback first: what can be published on.
std::vector<std::string> own_addresses();
/// "pid 4711 (python3 -m http.server 8000), user alice"
std::string to_string(const PortHolder& holder);

}  // namespace locald::net
