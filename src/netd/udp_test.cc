#include "netd/udp.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "net/packet.h"

namespace locald::netd {
namespace {

using std::chrono_literals::operator""ms;

net::IpAddress loopback() { return net::IpAddress::parse("127.0.0.1").value(); }

UniqueFd udp_socket(std::uint16_t port = 0) {
  UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const net::SocketAddress at(loopback(), port);
  EXPECT_EQ(::bind(out.get(), at.get(), at.size()), 0);
  return out;
}
std::uint16_t port_of(const UniqueFd& socket) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size);
  return net::address_and_port(at)->port;
}

/// A published port and its target, with both sides of a dialer in one loop.
struct Ports {
  Poller poller;
  std::array<UniqueFd, 2> pair;
  std::unique_ptr<Dialer> dialer;
  std::unique_ptr<DialServer> server;
  std::unique_ptr<UdpPorts> ports;
  UniqueFd target = udp_socket();
  UdpPorts::Key outside{loopback(), 0};
  int ended = 0;

  explicit Ports(UdpPorts::Limits limits) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()), 0);
    pair = {UniqueFd(fds[0]), UniqueFd(fds[1])};
    server = std::make_unique<DialServer>(
        poller, pair[1].get(),
        [](const net::IpAddress& address, std::uint16_t port) {
          return Destination{address, port};
        },
        nullptr);
    dialer = std::make_unique<Dialer>(poller, std::move(pair[0]), [] {});
    ports = std::make_unique<UdpPorts>(
        poller, *dialer, [this] { ++ended; }, limits);
    UniqueFd socket = udp_socket();
    outside.port = port_of(socket);
    ports->open(outside, std::move(socket));
    ports->use(outside, net::AddressAndPort{loopback(), port_of(target)});
  }
  void send(const UniqueFd& client, const std::string& text) const {
    const net::SocketAddress to(loopback(), outside.port);
    EXPECT_EQ(::sendto(client.get(), text.data(), text.size(), 0, to.get(), to.size()),
              static_cast<ssize_t>(text.size()));
  }
  /// What comes at `socket`, and from which port; "" where nothing does for `limit`.
  std::pair<std::string, std::uint16_t> receive(const UniqueFd& socket,
                                                std::chrono::milliseconds limit = 5000ms) {
    const auto end = Poller::Clock::now() + limit;
    std::array<char, 100> bytes;
    while (Poller::Clock::now() < end) {
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t n = ::recvfrom(socket.get(), bytes.data(), bytes.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
      if (n >= 0)
        return {std::string(bytes.data(), static_cast<std::size_t>(n)),
                net::address_and_port(from)->port};
      poller.turn(1ms);
    }
    return {};
  }
  void echo(const UniqueFd& client, const std::string& text) {
    send(client, text);
    const auto [heard, from] = receive(target);
    EXPECT_EQ(heard, text);
    const net::SocketAddress to(loopback(), from);
    ::sendto(target.get(), heard.data(), heard.size(), 0, to.get(), to.size());
    EXPECT_EQ(receive(client), std::pair(text, outside.port));
  }
};

TEST(Udp, EachClientHasAFlowThatEndsWhenItIsQuiet) {
  Ports p({8, 50ms, 50ms});
  const UniqueFd one = udp_socket(), two = udp_socket();
  p.echo(one, "a");
  p.echo(two, "b");
  p.echo(one, "c");
  EXPECT_EQ(p.ports->flows(), 2U);
  while (p.ports->flows() > 0) p.poller.turn(1000ms);
  EXPECT_EQ(p.ended, 2);
  p.echo(one, "again");
}

TEST(Udp, TheQuietestMakesRoom) {
  Ports p({3, 60'000ms, 50ms});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) {
    p.echo(clients.emplace_back(udp_socket()), std::to_string(i));
    p.echo(clients[0], "kept");
    EXPECT_LE(p.ports->flows(), 3U);
  }
  EXPECT_EQ(p.ended, 17);
}

TEST(Udp, WithoutATargetNothingIsTakenAndFlowsEnd) {
  Ports p({8, 60'000ms, 50ms});
  const UniqueFd client = udp_socket();
  p.echo(client, "a");
  p.ports->use(p.outside, std::nullopt);
  EXPECT_EQ(p.ports->flows(), 0U);
  p.send(client, "lost");
  EXPECT_EQ(p.receive(p.target, 30ms).first, "");
  p.target = udp_socket();
  p.ports->use(p.outside, net::AddressAndPort{loopback(), port_of(p.target)});
  p.echo(client, "b");
  p.ports->close(p.outside);
  EXPECT_EQ(p.ports->flows(), 0U);
}

TEST(Udp, AfterARefusalTheNextOneFindsWhoListensNow) {
  Ports p({8, 60'000ms, 50ms});
  const UniqueFd client = udp_socket();
  const std::uint16_t port = port_of(p.target);
  p.target.reset();
  p.send(client, "lost");
  while (p.ended == 0) p.poller.turn(1000ms);
  p.target = udp_socket(port);
  p.echo(client, "b");
}

TEST(Udp, WhatHasRetiredAnswersAndEnds) {
  Ports p({8, 60'000ms, 50ms});
  const UniqueFd client = udp_socket();
  p.send(client, "a");
  const auto [heard, from] = p.receive(p.target);
  p.ports->retire();
  const net::SocketAddress to(loopback(), from);
  ::sendto(p.target.get(), "late", 4, 0, to.get(), to.size());
  EXPECT_EQ(p.receive(client).first, "late");
  while (p.ports->flows() > 0) p.poller.turn(1000ms);
}

}  // namespace
}  // namespace locald::netd
