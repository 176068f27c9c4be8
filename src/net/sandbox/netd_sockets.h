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

/// Where a service asks for names in its own namespace: as in Docker, whose users have it in their
/// configurations.
inline const AddressAndPort kServiceDns{IpAddress::v4(0x7F00000B), kDnsPort};  // 127.0.0.11

/// What netd takes for a service that is in the network namespace `netns`, in the order that
/// NetdPlan says. The sockets have ports of their own, which rules in that namespace put in the
/// place of kServiceDns's: a DNS server that takes port 53 of all addresses finds it free.
/// @return Errc::unsupported: the kernel has no nf_tables.
Result<std::vector<UniqueFd>> make_service_sockets(int netns);

/// A TCP socket that listens at `at`, IPv6 for itself, in the namespace of the calling thread.
/// @return the kernel's errno (EADDRINUSE, EACCES, EADDRNOTAVAIL).
Result<UniqueFd> listen_tcp(const AddressAndPort& at);

/// A UDP socket at `at`, in the same way. Where that is any address, it tells of each packet which
/// one it was sent to.
Result<UniqueFd> bind_udp(const AddressAndPort& at);

}  // namespace locald::net
