#include <atomic>

#include "netd/dns_testing.h"
#include "netd/netd_testing.h"

/// Names, asked as containers ask them.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::listen_in;
using net::testing::subnet;
using net::testing::with_rights;
using testing::addresses;
using testing::code;
using testing::count;
using testing::kA;
using testing::kAaaa;
using testing::query;
using testing::soon;
using testing::World;

using Addresses = std::vector<net::IpAddress>;

UniqueFd asker(const UniqueFd& from, const char* server) {
  UniqueFd out;
  EXPECT_TRUE(net::in_namespace(from.get(), [&]() -> Result<void> {
    out = UniqueFd(::socket(address(server).family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval limit{10, 0};
    ::setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const net::SocketAddress where(address(server), 53);
    EXPECT_EQ(::connect(out.get(), where.get(), where.size()), 0);
    return {};
  }));
  return out;
}
std::string ask_for_name(const UniqueFd& asker, const std::string& question) {
  std::array<char, 4096> bytes;
  if (::send(asker.get(), question.data(), question.size(), 0) < 0) return {};
  const ssize_t n = ::recv(asker.get(), bytes.data(), bytes.size(), 0);
  EXPECT_GE(n, 12) << errno;
  return n < 12 ? std::string(12, '\x0F') : std::string(bytes.data(), static_cast<std::size_t>(n));
}
std::string ask_for_name(const UniqueFd& from, const char* server, const std::string& question) {
  return ask_for_name(asker(from, server), question);
}
/// Each with its length before it, as over TCP.
std::string framed(const std::string& packet) {
  return std::string{static_cast<char>(packet.size() >> 8), static_cast<char>(packet.size())} +
         packet;
}
std::string ask_tcp(const UniqueFd& from, const char* server, const std::string& question) {
  const std::string heard = testing::talk(from, server, 53, framed(question));
  return heard.size() < 14 ? heard : heard.substr(2);
}

/// A resolver of the host. What it answers, the name says.
class Upstream {
 public:
  Upstream(const UniqueFd& netns, const char* at, Addresses known)
      : known_(std::move(known)), tcp_(listen_in(netns, address(at), 53)) {
    EXPECT_TRUE(net::in_namespace(netns.get(), [&]() -> Result<void> {
      udp_ = TRY(net::bind_udp({address(at), 53}));
      return {};
    }));
    over_udp_ = std::jthread([this] { serve_udp(); });
    over_tcp_ = std::jthread([this] { serve_tcp(); });
  }
  ~Upstream() {
    done_ = true;
    ::shutdown(udp_.get(), SHUT_RD);
    ::shutdown(tcp_.get(), SHUT_RDWR);
  }
  int asked() const { return asked_; }

 private:
  std::string answer(const std::string& question, bool tcp) {
    ++asked_;
    const auto named = [&](const char* label) { return question.find(label) == 13; };
    if (named("refused")) return testing::reply(question, {}, 5);
    if (named("broken")) return testing::reply(question, {}, 2);
    if (named("nobody")) return testing::reply(question, {}, 3);
    if (named("large") && !tcp) return testing::reply(question, {}, 0, true);
    if (named("large")) return testing::reply(question, Addresses(1000, known_.front()));
    return testing::reply(question, known_);
  }
  void serve_udp() {
    std::array<char, 4096> bytes;
    while (!done_) {
      pollfd wait{udp_.get(), POLLIN, 0};
      ::poll(&wait, 1, 10'000);
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t n = ::recvfrom(udp_.get(), bytes.data(), bytes.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 12) continue;
      const std::string text = answer({bytes.data(), static_cast<std::size_t>(n)}, false);
      ::sendto(udp_.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&from),
               size);
    }
  }
  void serve_tcp() {
    while (true) {
      const UniqueFd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      std::array<char, 4096> bytes;
      const timeval limit{5, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const ssize_t n = ::recv(client.get(), bytes.data(), bytes.size(), 0);
      if (n < 14) continue;
      (void)sys::write_all(
          client.get(), framed(answer({bytes.data() + 2, static_cast<std::size_t>(n) - 2}, true)));
    }
  }
  Addresses known_;
  std::atomic<bool> done_ = false;
  std::atomic<int> asked_ = 0;
  UniqueFd udp_, tcp_;
  std::jthread over_udp_, over_tcp_;
};

net::OutsidePlan resolvers(const std::vector<const char*>& at) {
  net::OutsidePlan out;
  for (const char* each : at) out.resolvers.push_back({address(each), 53});
  return out;
}
net::NetdPlan names_of_both() {
  net::NetdPlan out;
  out.names = {{0, "db", {address("10.90.0.2"), address("fd90::2")}},
               {0, "both", {address("10.90.0.9"), address("fd90::9")}},
               {1, "both", {address("10.90.1.9")}},
               {1, "back", {address("10.90.1.2")}},
               {1, std::string(63, 'n'), {address("10.90.1.2")}}};
  return out;
}

TEST(NetdNames, EachNetworkAnswersItsOwn) {
  with_rights([] {
    const World w;
    w.plan(names_of_both());
    for (const char* server : {"10.90.0.1", "fd90::1"}) {
      EXPECT_EQ(addresses(ask_for_name(w.service, server, query("both"))),
                Addresses{address("10.90.0.9")});
      EXPECT_EQ(addresses(ask_for_name(w.service, server, query("both", kAaaa))),
                Addresses{address("fd90::9")});
      EXPECT_EQ(addresses(ask_tcp(w.service, server, query("db"))),
                Addresses{address("10.90.0.2")});
      EXPECT_EQ(code(ask_for_name(w.service, server, query("back"))), 3) << "of the other network";
    }
    EXPECT_EQ(addresses(ask_for_name(w.closed, "10.90.1.1", query("both"))),
              Addresses{address("10.90.1.9")});
    const std::string none = ask_for_name(w.closed, "10.90.1.1", query("back", kAaaa));
    EXPECT_EQ(code(none), 0) << "musl gives up where this is NXDOMAIN";
    EXPECT_EQ(count(none), 0);
    EXPECT_EQ(count(ask_for_name(w.closed, "10.90.1.1", query(std::string(63, 'N')))), 1);
  });
}

TEST(NetdNames, AServiceAsksInItsOwnNamespaceForTheNamesOfAllItsNetworks) {
  with_rights([] {
    const World w;
    const UniqueFd both = w.both();
    net::NetdPlan plan = names_of_both();
    plan.services = {{"both", true, {0, 1}}, {"back", true, {1}}};
    w.plan(plan, {&both, &w.closed});
    const auto asked = [](const UniqueFd& from, const char* name, int type = kA) {
      const auto udp = ask_for_name(from, "127.0.0.11", query(name, type)),
                 tcp = ask_tcp(from, "127.0.0.11", query(name, type));
      EXPECT_EQ(udp, tcp);
      return addresses(udp);
    };
    EXPECT_EQ(asked(both, "db"), Addresses{address("10.90.0.2")});
    EXPECT_EQ(asked(both, "db", kAaaa), Addresses{address("fd90::2")});
    EXPECT_EQ(asked(both, "back"), Addresses{address("10.90.1.2")});
    EXPECT_EQ(asked(w.closed, "both"), Addresses{address("10.90.1.9")}) << "where they meet";
    EXPECT_EQ(code(ask_for_name(w.closed, "127.0.0.11", query("db"))), 3);
    EXPECT_TRUE(w.client().service_namespace("back"));

    // Networks of a service change with a plan; one that is not named ends.
    plan.services = {{"both", false, {1}}};
    for (auto& network : plan.networks = World::networks()) network.handed = false;
    const auto planned = w.client().plan(plan.to_text());
    ASSERT_TRUE(planned) << planned.error().text();
    EXPECT_EQ(asked(both, "both"), Addresses{address("10.90.1.9")});
    EXPECT_EQ(testing::talk(w.closed, "127.0.0.11", 53, "x"), "connect 111");
    EXPECT_FALSE(w.client().service_namespace("back"));
  });
}

TEST(NetdNames, AServiceIsTakenOver) {
  with_rights([] {
    World w;
    net::NetdPlan plan = names_of_both();
    plan.services = {{"back", true, {1}}};
    w.plan(plan, {&w.closed});
    auto sockets = w.client().hand_over();
    ASSERT_TRUE(sockets) << sockets.error().text();
    plan.networks = World::networks();
    auto next = std::make_unique<testing::Program>(w.host, w.sandbox);
    ASSERT_TRUE(next->client().plan(plan.to_text(), sockets->take(plan).value()));
    ASSERT_TRUE(w.client().retire());
    EXPECT_TRUE(w.netd->ends());
    EXPECT_EQ(addresses(ask_for_name(w.closed, "127.0.0.11", query("back"))),
              Addresses{address("10.90.1.2")});
    EXPECT_TRUE(next->client().service_namespace("back"));
  });
}

TEST(NetdNames, OtherNamesAreAskedOfTheHostsResolvers) {
  with_rights([] {
    const World w;
    w.plan(names_of_both());
    EXPECT_EQ(code(ask_for_name(w.service, "10.90.0.1", query("example.com"))), 2) << "no resolver";
    const Upstream known(w.host, "127.0.0.53", {address("192.0.2.77")}),
        other(w.host, "127.0.0.54", {address("192.0.2.78")});
    w.netd->outside(resolvers({"127.0.0.53"}));
    const Addresses there{address("192.0.2.77")};
    EXPECT_EQ(addresses(ask_for_name(w.service, "10.90.0.1", query("example.com"))), there);
    EXPECT_EQ(addresses(ask_for_name(w.closed, "10.90.1.1", query("example.com"))), there)
        << "from an internal network, too";
    EXPECT_EQ(code(ask_for_name(w.service, "10.90.0.1", query("nobody.example.com"))), 3);
    EXPECT_EQ(code(ask_for_name(w.service, "10.90.0.1", query("refused.example.com"))), 2)
        << "REFUSED is never passed on";
    const std::string label(63, 'l');
    EXPECT_EQ(addresses(ask_for_name(w.service, "10.90.0.1",
                                     query(label + "." + label + "." + label + ".example.com"))),
              there);
    const int before = known.asked();
    EXPECT_EQ(code(ask_for_name(w.service, "10.90.0.1", query("typo"))), 3);
    EXPECT_EQ(known.asked(), before) << "a name without a dot stays here";

    // What does not fit is asked again over TCP.
    const std::string cut = ask_for_name(w.service, "10.90.0.1", query("large.example.com"));
    EXPECT_TRUE(cut.at(2) & 0x02);
    EXPECT_EQ(addresses(ask_tcp(w.service, "10.90.0.1", query("large.example.com"))),
              Addresses(1000, there[0]));

    w.netd->outside(resolvers({"127.0.0.99", "127.0.0.54"}));
    EXPECT_EQ(addresses(ask_for_name(w.service, "10.90.0.1", query("example.com"))),
              Addresses{address("192.0.2.78")})
        << "nobody listens at the first";
    EXPECT_EQ(addresses(ask_tcp(w.service, "10.90.0.1", query("example.com"))),
              Addresses{address("192.0.2.78")})
        << "nor over TCP";
  });
}

TEST(NetdNames, NoneIsLostWhilePlansAndResolversChange) {
  with_rights([] {
    const World w;
    net::NetdPlan plan = names_of_both();
    w.plan(plan);
    for (auto& network : plan.networks = World::networks()) network.handed = false;
    const Upstream one(w.host, "127.0.0.53", {address("192.0.2.77")}),
        two(w.host, "127.0.0.54", {address("192.0.2.77")});
    w.netd->outside(resolvers({"127.0.0.53"}));
    std::atomic<bool> done = false;
    std::atomic<int> asked = 0, failed = 0;
    const auto client = [&](const std::string& question, std::size_t answers) {
      const UniqueFd socket = asker(w.service, "10.90.0.1");
      for (; !done; ++asked)
        if (const std::string heard = ask_for_name(socket, question);
            code(heard) != 0 || addresses(heard).size() != answers)
          ++failed;
    };
    {
      const std::jthread own(client, query("db"), 1), own6(client, query("db", kAaaa), 1),
          missing(client, query("host.db.example.com"), 1);
      for (int i = 0; i < 200; ++i) {
        const int before = asked;
        plan.names.resize(5);
        if (i % 2 == 0) plan.names.push_back({0, "more", {address("10.90.0.77")}});
        ASSERT_TRUE(w.client().plan(plan.to_text()));
        w.netd->outside(resolvers(i % 2 == 0 ? std::vector{"127.0.0.53", "127.0.0.54"}
                                             : std::vector{"127.0.0.54"}));
        ASSERT_TRUE(soon([&] { return asked >= before + 50; }));
      }
      done = true;
    }
    EXPECT_EQ(failed, 0) << "of " << asked;
    EXPECT_GE(asked, 10'000);
    EXPECT_GT(one.asked(), 0);
    EXPECT_GT(two.asked(), 0);
  });
}

TEST(NetdNames, HostilePacketsChangeNothing) {
  with_rights([] {
    const World w;
    w.plan(names_of_both());
    const UniqueFd socket = asker(w.service, "10.90.0.1");
    std::uint32_t seed = 11;
    const auto random = [&seed] { return seed = seed * 1664525 + 1013904223; };
    for (int i = 0; i < 5000; ++i) {
      std::string packet = query("db", i % 2 == 0 ? kA : kAaaa, i % 3 == 0);
      for (int k = 0; k < 4; ++k)
        packet[random() / 7 % packet.size()] = static_cast<char>(random() >> 24);
      packet.resize(random() / 7 % (packet.size() + 1));
      ::send(socket.get(), packet.data(), packet.size(), 0);
    }
    for (const std::string& bad : {std::string(1, '\0'), std::string(2, '\xFF'),
                                   std::string("\0\1x", 3), std::string(70'000, '\xFF')})
      (void)testing::talk(w.service, "10.90.0.1", 53, bad);
    EXPECT_EQ(addresses(ask_for_name(w.service, "10.90.0.1", query("db"))),
              Addresses{address("10.90.0.2")});
    EXPECT_EQ(addresses(ask_tcp(w.service, "10.90.0.1", query("db"))),
              Addresses{address("10.90.0.2")});
  });
}

}  // namespace
}  // namespace locald::netd
