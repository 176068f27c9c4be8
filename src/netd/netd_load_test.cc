#include <atomic>
#include <cstring>
#include <random>

#include "netd/netd_testing.h"
#include "netd/outside.h"

/// Connections that end in odd ways, are many, or carry much.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::listen_in;
using net::testing::subnet;
using net::testing::with_rights;
using testing::connected;
using testing::Echo;
using testing::heard;
using testing::kWeb;
using testing::soon;
using testing::talk;
using testing::World;

/// 8080 to the service, 8081 to a port where nobody listens, 8082 to an address that is nobody's.
net::NetdPlan ports() {
  net::NetdPlan out;
  out.ports = {{{address("127.0.0.1"), 8080}, true, kWeb},
               {{address("127.0.0.1"), 8081}, true, AddressAndPort{address("10.90.0.2"), 81}},
               {{address("127.0.0.1"), 8082}, true, AddressAndPort{address("10.90.0.77"), 80}}};
  return out;
}
const net::OutsidePlan kOwn{{}, {subnet("10.90.0.0/24"), subnet("fd90::/64")}, {}};

TEST(NetdLoad, RefusedAndAbsentTargetsAreResets) {
  with_rights([] {
    const World w;
    w.plan(ports());
    w.netd->outside(kOwn);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8081, "x"), "reset");
    EXPECT_EQ(talk(w.service, "192.0.2.9", 9, "x"), "reset");
    EXPECT_EQ(talk(w.service, "2001:db8::9", 9, "x"), "reset");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    const std::size_t before = w.netd->files();
    const std::jthread in([&] { EXPECT_EQ(talk(w.host, "127.0.0.1", 8082, "x"), "reset"); }),
        out([&] { EXPECT_EQ(talk(w.service, "192.0.2.77", 80, "x"), "reset"); }),
        out6([&] { EXPECT_EQ(talk(w.service, "2001:db8::77", 80, "x"), "reset"); });
    // Clients that do not wait leave nothing behind.
    for (int i = 0; i < 50; ++i) (void)connected(w.host, "127.0.0.1", 8082);
    EXPECT_TRUE(soon([&] { return w.netd->files() <= before; }));
  });
}

TEST(NetdLoad, TheHostIsRefusedInAllSpellings) {
  with_rights([] {
    const World w;
    net::NetdPlan plan = ports();
    plan.ports.push_back({{address("0.0.0.0"), 8083}, true, kWeb});
    w.plan(plan);
    w.netd->outside(kOwn);
    const Echo loopback(w.host, "127.0.0.1", 80, "host "), loopback6(w.host, "::1", 80, "host "),
        all(w.host, "0.0.0.0", 81, "host "), all6(w.host, "::", 81, "host ");
    for (const char* own :
         {"127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1",
          "::ffff:0:127.0.0.1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "10.90.0.1",
          "10.90.1.1", "fd90::1", "255.255.255.255", "224.0.0.1", "192.0.2.255"})
      for (const std::uint16_t port : {80, 81, 8080, 8083, net::kRelayPort + 0}) {
        const std::string said = talk(w.service, own, port, "x");
        const bool refused = said == "reset" || said.starts_with("connect ");
        EXPECT_TRUE(refused && said != "connect 115") << own << " " << port << ": " << said;
      }
    // What reaches the process that connects is refused there again.
    ASSERT_TRUE(net::in_namespace(w.host.get(), []() -> Result<void> {
      Poller poller;
      const Resolver resolver(poller);
      OutsidePolicy policy(resolver);
      policy.use(kOwn);
      for (const char* own :
           {"127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
            "::ffff:0:127.0.0.1", "192.0.2.1", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8::1",
            "10.90.0.2", "fd90::2", "224.0.0.1", "ff02::1", "255.255.255.255", "198.51.100.1"})
        EXPECT_FALSE(policy.destination({address(own), 80})) << own;
      EXPECT_FALSE(policy.destination(kHostResolver)) << "there is none";
      EXPECT_TRUE(policy.destination({address("192.0.2.9"), 80}));
      EXPECT_TRUE(policy.destination({address("2001:db8::9"), 80}));
      return {};
    }));
  });
}

TEST(NetdLoad, OneDirectionOutlivesTheOther) {
  with_rights([] {
    const World w;
    w.plan(ports());
    const UniqueFd listener = listen_in(w.service, address("10.90.0.2"), 80);
    for (const bool client_first : {true, false}) {
      const UniqueFd client = connected(w.host, "127.0.0.1", 8080);
      const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const timeval limit{10, 0};
      ::setsockopt(server.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const UniqueFd &first = client_first ? client : server,
                     &second = client_first ? server : client;
      ASSERT_EQ(::shutdown(first.get(), SHUT_WR), 0);
      EXPECT_EQ(heard(second), "") << "its end is heard";
      const std::string more(300'000, 'm');
      std::string got;
      const std::jthread reader([&] { got = heard(first); });
      for (int i = 0; i < 10; ++i) ASSERT_TRUE(sys::write_all(second.get(), more));
      ASSERT_EQ(::shutdown(second.get(), SHUT_WR), 0);
      const_cast<std::jthread&>(reader).join();
      EXPECT_EQ(got.size(), 3'000'000U);
    }
    EXPECT_TRUE(soon([&] { return w.netd->files() < 30; }));
  });
}

/// Sends `size` bytes that their place determines.
std::string pattern() {
  std::string out((1 << 20) - 3, '\0');
  std::minstd_rand random(7);
  for (char& each : out) each = static_cast<char>(random());
  return out;
}
void send_much(const UniqueFd& socket, const std::string& block, std::size_t size) {
  for (std::size_t at = 0; at < size; at += block.size())
    if (!sys::write_all(socket.get(),
                        std::string_view(block).substr(0, std::min(block.size(), size - at))))
      break;
  ::shutdown(socket.get(), SHUT_WR);
}
/// How many came as they were sent.
std::size_t receive_much(const UniqueFd& socket, const std::string& block) {
  static thread_local std::array<char, 256 * 1024> bytes;
  std::size_t out = 0;
  for (ssize_t n = 0; (n = ::recv(socket.get(), bytes.data(), bytes.size(), 0)) > 0;) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
      const std::size_t place = (out + at) % block.size();
      const std::size_t size = std::min(static_cast<std::size_t>(n) - at, block.size() - place);
      if (std::memcmp(bytes.data() + at, block.data() + place, size) != 0) return out;
      at += size;
    }
    out += static_cast<std::size_t>(n);
  }
  return out;
}

TEST(NetdLoad, AGibibyteEachWayArrivesAsItWasSent) {
  with_rights([] {
    const World w;
    w.plan(ports());
    const std::string block = pattern();
    const std::size_t size = std::size_t{1} << 30;
    const UniqueFd listener = listen_in(w.service, address("10.90.0.2"), 80);
    const UniqueFd client = connected(w.host, "127.0.0.1", 8080);
    const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::size_t up = 0, down = 0;
    {
      const std::jthread one([&] { send_much(client, block, size); }),
          two([&] { send_much(server, block, size); }),
          three([&] { up = receive_much(server, block); }),
          four([&] { down = receive_much(client, block); });
    }
    EXPECT_EQ(up, size);
    EXPECT_EQ(down, size);
  });
}

TEST(NetdLoad, FiveThousandConnections) {
  constexpr std::size_t kMany = 5000;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < 3 * kMany) GTEST_SKIP() << "needs " << 3 * kMany << " descriptors";
  with_rights([&] {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const World w;
    w.plan(ports());
    const UniqueFd listener = listen_in(w.service, address("10.90.0.2"), 80);
    const std::size_t before = w.netd->files();
    std::vector<UniqueFd> clients, servers;
    ASSERT_TRUE(net::in_namespace(w.host.get(), [&]() -> Result<void> {
      const net::SocketAddress to(address("127.0.0.1"), 8080);
      for (std::size_t i = 0; i < kMany; ++i) {
        const UniqueFd& client = clients.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
        EXPECT_EQ(::connect(client.get(), to.get(), to.size()), 0) << errno;
        servers.emplace_back(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      }
      return {};
    }));
    for (const auto* from : {&clients, &servers})
      for (const UniqueFd& each : *from) EXPECT_EQ(::send(each.get(), "byte", 4, 0), 4);
    for (const auto* to : {&servers, &clients})
      for (const UniqueFd& each : *to) {
        std::array<char, 8> bytes;
        ASSERT_EQ(::recv(each.get(), bytes.data(), bytes.size(), 0), 4);
      }
    EXPECT_GT(w.netd->files(), 2 * kMany);
    clients.clear();
    for (const UniqueFd& each : servers) {
      char byte = 0;
      ASSERT_EQ(::recv(each.get(), &byte, 1, 0), 0);
    }
    servers.clear();
    EXPECT_TRUE(soon([&] { return w.netd->files() <= before; }));
  });
}

/// How long the process has run so far.
std::chrono::nanoseconds run_time(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/schedstat");
  return std::chrono::nanoseconds(text ? std::stoll(*text) : 0);
}

TEST(NetdLoad, WithoutDescriptorsItWaitsQuietly) {
  with_rights([] {
    const World w(96);
    w.plan(ports());
    const Echo web(w.service, "0.0.0.0", 80, "web ");
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(connected(w.host, "127.0.0.1", 8080));
      ASSERT_TRUE(sys::write_all(clients.back().get(), std::to_string(i)));
      ::shutdown(clients.back().get(), SHUT_WR);
    }
    // Those that it took are over; none of the others was turned away.
    for (int i = 0; i < 100; ++i)
      ASSERT_EQ(heard(clients[static_cast<std::size_t>(i)]), "web " + std::to_string(i));
    clients.clear();

    for (int i = 0; i < 100; ++i) clients.push_back(connected(w.host, "127.0.0.1", 8080));
    EXPECT_TRUE(soon([&] { return w.netd->files() >= 72; }));
    const auto before = run_time(w.netd->pid());
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(run_time(w.netd->pid()) - before, took / 10) << "it spins";
    EXPECT_TRUE(w.client().version()) << "and answers";
    clients.clear();
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "web x");
  });
}

}  // namespace
}  // namespace locald::netd
