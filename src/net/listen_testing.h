#pragma once
// Sockets that listen, for tests.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/sys/unique_fd.h"

namespace locald::net {

struct Listening {
  UniqueFd fd;
  std::uint16_t port = 0;
};

/// Listens on `address` (0: a port of the kernel's choice).
inline Listening listen_on(const std::string& address, std::uint16_t port = 0, bool reuse = false,
                           bool v6only = false) {
  sockaddr_storage sa{};
  socklen_t size = sizeof(sockaddr_in);
  auto* four = reinterpret_cast<sockaddr_in*>(&sa);
  auto* six = reinterpret_cast<sockaddr_in6*>(&sa);
  if (::inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    sa.ss_family = AF_INET;
    four->sin_port = htons(port);
  } else {
    EXPECT_EQ(::inet_pton(AF_INET6, address.c_str(), &six->sin6_addr), 1) << address;
    sa.ss_family = AF_INET6;
    six->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  }
  Listening out;
  out.fd.reset(::socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (reuse) ::setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (v6only) ::setsockopt(out.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  EXPECT_EQ(::bind(out.fd.get(), reinterpret_cast<sockaddr*>(&sa), size), 0) << address;
  EXPECT_EQ(::listen(out.fd.get(), 4), 0);
  size = sizeof sa;
  ::getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&sa), &size);
  out.port = ntohs(four->sin_port);  // at the same place in both
  return out;
}

inline bool has_ipv6() {
  const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 sa{};
  sa.sin6_family = AF_INET6;
  sa.sin6_addr = in6addr_loopback;
  return fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&sa), sizeof sa) == 0;
}

/// A connection to it that the listener's side has closed first: TIME_WAIT is there.
inline void connect_and_close(const Listening& server) {
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in sa{};
  sa.sin_family = AF_INET;
  sa.sin_port = htons(server.port);
  sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&sa), sizeof sa), 0);
  { const UniqueFd accepted(::accept(server.fd.get(), nullptr, nullptr)); }
  char c;
  EXPECT_EQ(::read(client.get(), &c, 1), 0);
}

}  // namespace locald::net
