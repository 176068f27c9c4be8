#pragma once
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/netd_plan.h"

namespace locald::net {

inline constexpr std::uint16_t kDnsPort = 53;

/// Where a bridge's firewall redirects what leaves (firewall.h): netd's socket in the sandbox.
inline constexpr std::uint16_t kRelayPort = 15001;

/// The sockets that netd takes for `networks`, in the order that NetdPlan says. They stay in the
/// network namespace of the calling thread, the sandbox's.
Result<std::vector<UniqueFd>> make_netd_sockets(const std::vector<NetdPlan::Network>& networks);

/// A TCP socket that listens at `at`, IPv6 for itself, in the namespace of the calling thread.
/// @return the kernel's errno (EADDRINUSE, EACCES, EADDRNOTAVAIL).
Result<UniqueFd> listen_tcp(const AddressAndPort& at);

/// A UDP socket at `at`, in the same way. Where that is any address, it tells of each packet which
/// one it was sent to.
Result<UniqueFd> bind_udp(const AddressAndPort& at);

}  // namespace locald::net
