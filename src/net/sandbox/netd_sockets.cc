#include "net/sandbox/netd_sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "net/sandbox/nft_batch.h"
#include "net/sandbox/sandbox.h"

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

Result<std::uint16_t> port_of(const UniqueFd& socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0)
    return Error::from_errno(errno, "look at a socket's port");
  return address_and_port(at).value_or(AddressAndPort()).port;
}

/// In the namespace of the calling thread. Not by way of conntrack, which would look at all packets
/// of the service.
Result<void> write_service_rules(std::uint16_t udp, std::uint16_t tcp) {
  const Subnet there{kServiceDns.address, 32};
  const NftChain names{"names", "filter", NftChain::Hook::output, -300};
  return NftBatch::write("locald", [&](NftBatch& batch) {
    batch.chain(names);
    for (const auto& [l4, port] : {std::pair<std::uint8_t, std::uint16_t>{IPPROTO_UDP, udp},
                                   std::pair<std::uint8_t, std::uint16_t>{IPPROTO_TCP, tcp}}) {
      batch.rule(names.name,
                 NftRule().to(there).protocol(l4).to_port(kDnsPort).set_to_port(l4, port));
      batch.rule(names.name,
                 NftRule().from(there).protocol(l4).from_port(port).set_from_port(l4, kDnsPort));
    }
  });
}

}  // namespace

Result<std::vector<UniqueFd>> make_service_sockets(int netns) {
  std::vector<UniqueFd> out;
  out.emplace_back(::fcntl(netns, F_DUPFD_CLOEXEC, 0));
  if (!out.front()) return Error::from_errno(errno, "keep a network namespace");
  TRY(in_namespace(netns, [&]() -> Result<void> {
    out.push_back(TRY(bound({kServiceDns.address, 0}, SOCK_DGRAM)));
    out.push_back(TRY(listen_tcp({kServiceDns.address, 0})));
    return write_service_rules(TRY(port_of(out[1])), TRY(port_of(out[2])));
  }));
  return out;
}

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
