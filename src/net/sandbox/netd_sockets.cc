#include "net/sandbox/netd_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace locald::net {
namespace {

Result<UniqueFd> bound(const AddressAndPort& at, int type) {
  UniqueFd fd(::socket(at.address.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "make a socket");
  const int on = 1;
  // For UDP that would let two take the same port.
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.address.is_v6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const SocketAddress where(at.address, at.port);
  if (::bind(fd.get(), where.get(), where.size()) != 0)
    return Error::from_errno(errno,
                             "bind " + at.address.text() + " port " + std::to_string(at.port));
  return fd;
}

}  // namespace

Result<UniqueFd> listen_tcp(const AddressAndPort& at) {
  UniqueFd fd = TRY(bound(at, SOCK_STREAM));
  // With SO_REUSEADDR it is listening, not binding, that takes the port.
  if (::listen(fd.get(), SOMAXCONN) != 0)
    return Error::from_errno(errno,
                             "listen at " + at.address.text() + " port " + std::to_string(at.port));
  return fd;
}

Result<UniqueFd> bind_udp(const AddressAndPort& at) {
  UniqueFd fd = TRY(bound(at, SOCK_DGRAM));
  const int on = 1;
  if (at.address != at.address.masked(0)) return fd;
  if (at.address.is_v6())
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  else
    ::setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  return fd;
}

Result<std::vector<UniqueFd>> make_netd_sockets(const std::vector<NetdPlan::Network>& networks) {
  std::vector<UniqueFd> out;
  for (const NetdPlan::Network& network : networks)
    for (const IpAddress& address : network.addresses) {
      out.push_back(TRY(bound({address, kDnsPort}, SOCK_DGRAM)));
      out.push_back(TRY(listen_tcp({address, kDnsPort})));
      if (network.relays) out.push_back(TRY(listen_tcp({address, kRelayPort})));
    }
  return out;
}

}  // namespace locald::net
