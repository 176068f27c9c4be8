#include "net/socket_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace locald::net {

SocketAddress::SocketAddress(const IpAddress& address, std::uint16_t port) {
  bytes_.ss_family = static_cast<sa_family_t>(address.family());
  if (address.is_v6()) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(bytes_);
    v6.sin6_port = htons(port);
    std::copy(address.bytes().begin(), address.bytes().end(), v6.sin6_addr.s6_addr);
    size_ = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(bytes_);
    v4.sin_port = htons(port);
    std::copy(address.bytes().begin(), address.bytes().end(),
              reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
    size_ = sizeof v4;
  }
}

std::optional<AddressAndPort> address_and_port(const sockaddr_storage& bytes) {
  if (bytes.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(bytes);
    return AddressAndPort{IpAddress::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  if (bytes.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(bytes);
    std::array<std::uint8_t, 16> address{};
    std::copy(std::begin(v6.sin6_addr.s6_addr), std::end(v6.sin6_addr.s6_addr), address.begin());
    return AddressAndPort{IpAddress::v6(address), ntohs(v6.sin6_port)};
  }
  return std::nullopt;
}

bool collide(const AddressAndPort& one, const AddressAndPort& other) {
  const auto all = [](const IpAddress& address) { return address == address.masked(0); };
  return one.port == other.port && one.address.is_v6() == other.address.is_v6() &&
         (one.address == other.address || all(one.address) || all(other.address));
}

}  // namespace locald::net
