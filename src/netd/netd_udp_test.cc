#include <atomic>
#include <set>

#include "netd/netd_testing.h"

/// Published UDP ports.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::with_rights;
using testing::soon;
using testing::World;

UniqueFd udp_in(const UniqueFd& netns, const AddressAndPort& at) {
  UniqueFd out;
  EXPECT_TRUE(net::in_namespace(netns.get(), [&]() -> Result<void> {
    out = UniqueFd(::socket(at.address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval limit{5, 0};
    ::setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const net::SocketAddress where(at.address, at.port);
    EXPECT_EQ(::bind(out.get(), where.get(), where.size()), 0) << errno;
    return {};
  }));
  return out;
}

/// Answers each datagram with `word` and itself.
class Mirror {
 public:
  Mirror(const UniqueFd& netns, const AddressAndPort& at, std::string word)
      : socket_(udp_in(netns, at)), thread_([this, word = std::move(word)] { serve(word); }) {}
  ~Mirror() {
    done_ = true;
    ::shutdown(socket_.get(), SHUT_RD);
  }
  std::size_t peers() const { return peers_; }

 private:
  void serve(const std::string& word) {
    std::set<AddressAndPort> peers;
    std::array<char, 65536> bytes;
    while (!done_) {
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t n = ::recvfrom(socket_.get(), bytes.data(), bytes.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
      if (n < 0 || done_) continue;
      peers.insert(*net::address_and_port(from));
      peers_ = peers.size();
      const std::string answer = word + std::string(bytes.data(), static_cast<std::size_t>(n));
      ::sendto(socket_.get(), answer.data(), answer.size(), 0,
               reinterpret_cast<const sockaddr*>(&from), length);
    }
  }
  std::atomic<bool> done_ = false;
  std::atomic<std::size_t> peers_ = 0;
  UniqueFd socket_;
  std::jthread thread_;
};

/// A client of one address: answers from others do not reach it.
UniqueFd client_of(const UniqueFd& from, const char* to, std::uint16_t port) {
  const bool v6 = address(to).is_v6();
  UniqueFd out = udp_in(from, {address(v6 ? "::" : "0.0.0.0"), 0});
  const net::SocketAddress where(address(to), port);
  EXPECT_EQ(::connect(out.get(), where.get(), where.size()), 0) << errno;
  return out;
}
std::string datagram(const UniqueFd& client) {
  std::array<char, 65536> bytes;
  const ssize_t n = ::recv(client.get(), bytes.data(), bytes.size(), 0);
  return n < 0 ? "errno " + std::to_string(errno)
               : std::string(bytes.data(), static_cast<std::size_t>(n));
}
std::string ask(const UniqueFd& client, const std::string& text) {
  EXPECT_EQ(::send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return datagram(client);
}

const AddressAndPort kDns{address("10.90.0.2"), 53}, kDns6{address("fd90::2"), 53};

TEST(NetdUdp, APublishedPortLeadsToItsService) {
  with_rights([] {
    const World w;
    const Mirror v4(w.service, kDns, "v4 "), v6(w.service, kDns6, "v6 ");
    w.plan({{},
            {},
            {{{address("127.0.0.1"), 53}, true, kDns, true},
             {{address("::1"), 53}, true, kDns6, true},
             {{address("0.0.0.0"), 5353}, true, kDns, true},
             {{address("::"), 5353}, true, kDns6, true},
             {{address("127.0.0.1"), 5354}, true, AddressAndPort{address("10.90.0.2"), 9}, true}}});
    EXPECT_EQ(ask(client_of(w.host, "127.0.0.1", 53), "a"), "v4 a");
    EXPECT_EQ(ask(client_of(w.host, "::1", 53), "a"), "v6 a");
    for (const char* to : {"127.0.0.1", "127.0.0.9", "192.0.2.1"})
      EXPECT_EQ(ask(client_of(w.host, to, 5353), "b"), "v4 b") << to;
    for (const char* to : {"::1", "2001:db8::1"})
      EXPECT_EQ(ask(client_of(w.host, to, 5353), "b"), "v6 b") << to;
    EXPECT_EQ(ask(client_of(w.elsewhere, "192.0.2.1", 5353), "c"), "v4 c");
    EXPECT_EQ(ask(client_of(w.elsewhere, "2001:db8::1", 5353), "c"), "v6 c");
    const std::string large(60'000, 'x');
    EXPECT_EQ(ask(client_of(w.host, "127.0.0.1", 53), large), "v4 " + large);
    // Nobody listens: nothing comes back, and the next one is tried as well.
    const UniqueFd lost = client_of(w.host, "127.0.0.1", 5354);
    EXPECT_EQ(::send(lost.get(), "x", 1, 0), 1);
    const Mirror late(w.service, {address("10.90.0.2"), 9}, "late ");
    EXPECT_TRUE(soon([&] {
      ::send(lost.get(), "y", 1, 0);
      std::array<char, 16> bytes;
      return ::recv(lost.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0;
    }));
  });
}

TEST(NetdUdp, AThousandClientsEachHearTheirOwnAnswers) {
  with_rights([] {
    const World w;
    const Mirror mirror(w.service, kDns, "");
    w.plan({{}, {}, {{{address("127.0.0.1"), 53}, true, kDns, true}}});
    std::vector<UniqueFd> clients;
    EXPECT_TRUE(net::in_namespace(w.host.get(), [&]() -> Result<void> {
      const net::SocketAddress to(address("127.0.0.1"), 53);
      for (int i = 0; i < 1000; ++i) {
        const UniqueFd& client = clients.emplace_back(::socket(AF_INET, SOCK_DGRAM, 0));
        const timeval limit{5, 0};
        ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        EXPECT_EQ(::connect(client.get(), to.get(), to.size()), 0);
      }
      return {};
    }));
    for (int round = 0; round < 2; ++round)
      for (std::size_t i = 0; i < clients.size(); ++i) {
        const std::string text = std::to_string(i) + " " + std::to_string(round);
        ASSERT_EQ(ask(clients[i], text), text);
      }
    EXPECT_EQ(mirror.peers(), 1000U) << "one flow for each";
    EXPECT_GT(w.netd->files(), 1000U);
    net::NetdPlan closed;
    closed.networks = World::networks();
    for (auto& network : closed.networks) network.handed = false;
    ASSERT_TRUE(w.client().plan(closed.to_text()));
    EXPECT_LT(w.netd->files(), 100U) << "they end with the port";
  });
}

TEST(NetdUdp, MoreThanItHoldsPushOutTheOldest) {
  with_rights([] {
    const World w;
    const Mirror mirror(w.service, kDns, "");
    w.plan({{}, {}, {{{address("127.0.0.1"), 53}, true, kDns, true}}});
    EXPECT_TRUE(net::in_namespace(w.host.get(), [&]() -> Result<void> {
      const net::SocketAddress to(address("127.0.0.1"), 53);
      for (int i = 0; i < 3000; ++i) {
        const UniqueFd client(::socket(AF_INET, SOCK_DGRAM, 0));
        const timeval limit{5, 0};
        ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        EXPECT_EQ(::connect(client.get(), to.get(), to.size()), 0);
        const std::string text = std::to_string(i);
        const std::string answer = ask(client, text);
        EXPECT_EQ(answer, text);
        if (answer != text) break;
      }
      return {};
    }));
    EXPECT_LT(w.netd->files(), 2100U);
  });
}

TEST(NetdUdp, APortIsTakenOver) {
  with_rights([] {
    World w;
    const Mirror mirror(w.service, kDns, "v4 ");
    net::NetdPlan plan;
    plan.ports = {{{address("127.0.0.1"), 53}, true, kDns, true},
                  {{address("127.0.0.1"), 53}, true, kDns, false}};
    w.plan(plan);
    const UniqueFd client = client_of(w.host, "127.0.0.1", 53);
    EXPECT_EQ(ask(client, "a"), "v4 a");
    auto sockets = w.client().hand_over();
    ASSERT_TRUE(sockets) << sockets.error().text();
    EXPECT_EQ(sockets->ports.size(), 2U) << "TCP and UDP of one number";
    plan.networks = World::networks();
    auto next = std::make_unique<testing::Program>(w.host, w.sandbox);
    ASSERT_TRUE(next->client().plan(plan.to_text(), sockets->take(plan).value()));
    ASSERT_TRUE(w.client().retire());
    EXPECT_EQ(ask(client, "b"), "v4 b");
    EXPECT_TRUE(w.netd->ends()) << "when its flows are quiet";
    EXPECT_EQ(ask(client, "c"), "v4 c");
  });
}

TEST(NetdUdp, APortInUseIsTold) {
  with_rights([] {
    const World w;
    const UniqueFd one = udp_in(w.host, {address("127.0.0.1"), 53});
    EXPECT_TRUE(net::in_namespace(w.host.get(), []() -> Result<void> {
      const auto two = net::bind_udp({address("127.0.0.1"), 53});
      EXPECT_EQ(two ? 0 : two.error().sys_errno(), EADDRINUSE);
      const auto first = net::bind_udp({address("127.0.0.1"), 54});
      EXPECT_TRUE(first);
      EXPECT_FALSE(net::bind_udp({address("127.0.0.1"), 54})) << "two published ports";
      return {};
    }));
  });
}

}  // namespace
}  // namespace locald::netd
