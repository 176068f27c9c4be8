#include "net/listeners.h"
#include "net/route.h"
#include "netd/netd_testing.h"

/// Published ports and the way out.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::listen_in;
using net::testing::subnet;
using net::testing::with_rights;
using testing::Echo;
using testing::kWeb;
using testing::talk;
using testing::World;

TEST(Netd, APublishedPortLeadsToItsService) {
  with_rights([] {
    const World w;
    const Echo server(w.service, "0.0.0.0", 80, "web ");
    w.plan({{},
            {},
            {{{address("127.0.0.1"), 8080}, true, kWeb},
             {{address("::1"), 8080}, true, kWeb},
             {{address("127.0.0.1"), 8081}, true, std::nullopt},
             {{address("127.0.0.1"), 8082}, true, AddressAndPort{address("10.90.0.2"), 81}},
             {{address("127.0.0.1"), 8083}, true, AddressAndPort{address("fd90::2"), 80}}}});
    const Echo server6(w.service, "fd90::2", 80, "web6 ");
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8083, "hello"), "web6 hello");
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "hello"), "web hello");
    EXPECT_EQ(talk(w.host, "::1", 8080, "hello"), "web hello");
    std::string much(8 << 20, 'x');
    for (std::size_t i = 0; i < much.size(); i += 1000) much[i] = static_cast<char>('a' + i % 23);
    EXPECT_TRUE(talk(w.host, "127.0.0.1", 8080, much) == "web " + much);
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8081, "x"), "reset") << "its service is not up";
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8082, "x"), "reset") << "nobody listens there";

    net::NetdPlan later;
    later.networks = {{0, false, true, {}}, {1, false, false, {}}};
    later.ports = {{{address("127.0.0.1"), 8081}, false, kWeb}};
    ASSERT_TRUE(w.client().plan(later.to_text()));
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8081, "now"), "web now");
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "connect 111") << "closed";
  });
}

TEST(Netd, TheOutsideIsReachedAndTheHostIsNot) {
  with_rights([] {
    const World w;
    w.plan({});
    w.netd->outside({{}, {subnet("10.90.0.0/24"), subnet("fd90::/64")}, {}});
    const Echo there(w.elsewhere, "192.0.2.9", 80, "there "),
        there6(w.elsewhere, "2001:db8::9", 80, "there ");
    const Echo loopback(w.host, "127.0.0.1", 80, "host "), all(w.host, "0.0.0.0", 81, "host ");
    const Echo all6(w.host, "::", 82, "host ");
    EXPECT_EQ(talk(w.service, "192.0.2.9", 80, "hello"), "there hello");
    EXPECT_EQ(talk(w.service, "2001:db8::9", 80, "hello"), "there hello");
    for (const char* own : {"192.0.2.1", "192.0.2.255", "2001:db8::1"})
      for (const std::uint16_t port : {80, 81, 82})
        EXPECT_EQ(talk(w.service, own, port, "x"), "reset") << own << " " << port;
    EXPECT_NE(talk(w.service, "127.0.0.1", 80, "x").substr(0, 5), "host ");
    EXPECT_EQ(talk(w.service, "192.0.2.9", 9, "x"), "reset") << "nobody listens there";
    EXPECT_EQ(talk(w.closed, "192.0.2.9", 80, "x"), "connect 111") << "an internal network";
  });
}

// A redirection gives all of them the same destination; the kernel then changes their source ports.
TEST(Netd, ConnectionsToDifferentPlacesMayShareASourcePort) {
  with_rights([] {
    const World w;
    w.plan({});
    const net::SocketAddress from(address("10.90.0.2"), 40000);
    std::vector<UniqueFd> listeners;
    for (std::uint16_t port = 80; port < 100; ++port)
      listeners.push_back(listen_in(w.elsewhere, address("192.0.2.9"), port));
    ASSERT_TRUE(net::in_namespace(w.service.get(), [&]() -> Result<void> {
      for (int round = 0; round < 3; ++round) {
        std::vector<UniqueFd> clients, peers;
        for (std::uint16_t i = 0; i < listeners.size(); ++i) {
          const UniqueFd& fd = clients.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
          const int on = 1;
          ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
          // Shorter than the second after which what got lost is sent again.
          const timeval limit{0, 700'000};
          ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
          const net::SocketAddress to(address("192.0.2.9"), static_cast<std::uint16_t>(80 + i));
          EXPECT_EQ(::bind(fd.get(), from.get(), from.size()), 0) << errno;
          EXPECT_EQ(::connect(fd.get(), to.get(), to.size()), 0) << errno << ", round " << round;
          peers.emplace_back(::accept4(listeners[i].get(), nullptr, nullptr, SOCK_CLOEXEC));
          const auto byte = static_cast<char>(i);
          EXPECT_EQ(::send(peers.back().get(), &byte, 1, 0), 1);
        }
        for (std::uint16_t i = 0; i < clients.size(); ++i) {
          char byte = 0;
          EXPECT_EQ(::recv(clients[i].get(), &byte, 1, 0), 1);
          EXPECT_EQ(byte, static_cast<char>(i)) << "another one's";
        }
        peers.clear();  // the far side ends first: the ports stay free on this one
        for (const UniqueFd& client : clients) {
          char byte = 0;
          EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0);
        }
      }
      return {};
    }));
  });
}

TEST(Netd, RoutesTellWhetherThereIsIpv6Outside) {
  with_rights([] {
    const World w;
    EXPECT_TRUE(net::in_namespace(w.service.get(), []() -> Result<void> {
      EXPECT_TRUE(net::has_v6_outside());
      return {};
    }));
    EXPECT_TRUE(net::in_namespace(w.host.get(), []() -> Result<void> {
      EXPECT_FALSE(net::has_v6_outside()) << "a network of its own, and no way further";
      return {};
    }));
  });
}

TEST(Netd, APortOfTheHostIsReachedWhileItsOwnerListens) {
  with_rights([] {
    const World w;
    w.plan({});
    const Echo own(w.host, "127.0.0.1", 3000, "own "), other(w.host, "127.0.0.1", 3001, "other ");
    const AddressAndPort first{address("10.90.255.1"), 3000}, second{address("10.90.255.2"), 3001};
    ino_t inode = 0;
    ASSERT_TRUE(net::in_namespace(w.host.get(), [&]() -> Result<void> {
      for (const auto& each : TRY(net::quick_listeners(3000))) inode = each.inode;
      return {};
    }));
    w.netd->outside({{},
                     {},
                     {{first, {address("127.0.0.1"), 3000}, {inode}},
                      {second, {address("127.0.0.1"), 3001}, {inode}}}});
    EXPECT_EQ(talk(w.service, "10.90.255.1", 3000, "hello"), "own hello");
    EXPECT_EQ(talk(w.service, "10.90.255.1", 3001, "x"), "reset") << "another port";
    EXPECT_EQ(talk(w.service, "10.90.255.2", 3001, "x"), "reset") << "a stranger listens there";
  });
}

TEST(Netd, AProbeIsConnectedInside) {
  with_rights([] {
    const World w;
    const Echo server(w.service, "0.0.0.0", 80, "web ");
    auto socket = w.client().dial(kWeb);
    ASSERT_TRUE(socket) << socket.error().text();
    const auto refused = w.client().dial({address("10.90.0.2"), 81});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().sys_errno(), ECONNREFUSED);
    EXPECT_EQ(w.client().version().value(), net::kNetdVersion);
  });
}

TEST(Netd, ABadPlanChangesNothing) {
  with_rights([] {
    const World w;
    w.plan({{}, {}, {{{address("127.0.0.1"), 8080}, true, std::nullopt}}});
    for (const char* bad :
         {"nonsense", "port 127.0.0.1 8080 handed reset", "network 0 handed relays",
          "name 7 db 10.0.0.1", "port 127.0.0.1 9 kept reset"})
      EXPECT_FALSE(w.client().plan(bad)) << bad;
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "reset") << "it is there yet";
  });
}

TEST(Netd, ItsProcessesMayDoNothingElse) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's runtime makes calls of its own: nothing is filtered";
#endif
  with_rights([] {
    const World w;
    std::vector<std::string> pids{std::to_string(w.netd->pid())};
    const auto children = read_file("/proc/" + pids[0] + "/task/" + pids[0] + "/children");
    ASSERT_TRUE(children);
    for (std::size_t at = 0; at < children->size();) {
      const auto space = children->find(' ', at);
      pids.push_back(children->substr(at, space - at));
      at = space == std::string::npos ? children->size() : space + 1;
    }
    ASSERT_EQ(pids.size(), 3U);
    for (const std::string& pid : pids) {
      const auto status = read_file("/proc/" + pid + "/status");
      ASSERT_TRUE(status);
      for (const char* line : {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                               "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"})
        EXPECT_NE(status->find(line), std::string::npos) << line << "\n" << *status;
    }
  });
}

}  // namespace
}  // namespace locald::netd
