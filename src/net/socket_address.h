#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "net/ip_address.h"

namespace locald::net {

/// An address and a port as the kernel takes them.
class SocketAddress {
 public:
  SocketAddress(const IpAddress& address, std::uint16_t port);
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&bytes_); }
  socklen_t size() const noexcept { return size_; }

 private:
  sockaddr_storage bytes_{};
  socklen_t size_ = 0;
};

struct AddressAndPort {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const AddressAndPort&) const = default;
};
/// No two sockets can listen at both: the same port of one address, or of one and of all of its
/// family. One for IPv6 takes that alone: [::] and 0.0.0.0 stand side by side.
bool collide(const AddressAndPort& one, const AddressAndPort& other);
/// What the kernel gave: nothing where it is neither IPv4 nor IPv6. "::ffff:1.2.3.4" stays IPv6.
std::optional<AddressAndPort> address_and_port(const sockaddr_storage& bytes);

}  // namespace locald::net
