#include <atomic>

#include "netd/netd_testing.h"

/// How a netd is driven, is taken over and ends.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::subnet;
using net::testing::with_rights;
using testing::Echo;
using testing::kWeb;
using testing::Program;
using testing::soon;
using testing::talk;
using testing::World;

net::NetdPlan all_handed() {
  net::NetdPlan out;
  out.networks = World::networks();
  out.names = {{0, "web", {address("10.90.0.2")}}};
  out.ports = {{{address("127.0.0.1"), 8080}, true, kWeb}, {{address("::1"), 8080}, true, kWeb}};
  return out;
}
const net::OutsidePlan kOutside{{}, {subnet("10.90.0.0/24"), subnet("fd90::/64")}, {}};

/// Starts another one, which takes over from `w.netd`.
std::unique_ptr<Program> replace(World& w) {
  auto next = std::make_unique<Program>(w.host, w.sandbox);
  next->outside(kOutside);
  auto sockets = w.client().hand_over();
  EXPECT_TRUE(sockets) << sockets.error().text();
  const net::NetdPlan plan = all_handed();
  const auto handed = sockets->take(plan);
  EXPECT_TRUE(handed) << handed.error().text();
  const auto planned = next->client().plan(plan.to_text(), *handed);
  EXPECT_TRUE(planned) << planned.error().text();
  const auto retired = w.client().retire();
  EXPECT_TRUE(retired) << retired.error().text();
  std::swap(next, w.netd);
  return next;
}

TEST(NetdTakeover, NoPortClosesWhileAHundredTakeOver) {
  with_rights([] {
    World w;
    w.plan(all_handed());
    w.netd->outside(kOutside);
    const Echo web(w.service, "0.0.0.0", 80, "web "), there(w.elsewhere, "192.0.2.9", 80, "there ");

    const UniqueFd early = testing::connected(w.host, "127.0.0.1", 8080);
    ASSERT_TRUE(sys::write_all(early.get(), "early "));
    std::atomic<int> talks = 0;
    std::atomic<bool> done = false;
    const auto client = [&](const UniqueFd& from, const char* to, std::uint16_t port,
                            const std::string& answer) {
      for (; !done; ++talks)
        EXPECT_EQ(talk(from, to, port, "x"), answer) << to << " after " << talks;
    };
    std::unique_ptr<Program> first;
    {
      const std::jthread v4(client, std::ref(w.host), "127.0.0.1", 8080, "web x"),
          v6(client, std::ref(w.host), "::1", 8080, "web x"),
          out(client, std::ref(w.service), "192.0.2.9", 80, "there x");
      first = replace(w);
      for (int i = 1; i < 100; ++i) {
        const int before = talks;
        EXPECT_TRUE(replace(w)->ends()) << i;
        EXPECT_TRUE(soon([&] { return talks >= before + 3; })) << i;
      }
      done = true;
    }
    ASSERT_TRUE(sys::write_all(early.get(), "and late"));
    ASSERT_EQ(::shutdown(early.get(), SHUT_WR), 0);
    EXPECT_EQ(testing::heard(early), "web early and late");
    EXPECT_TRUE(first->ends());
  });
}

TEST(NetdTakeover, WhatHasRetiredStillAnswersButTakesNothing) {
  with_rights([] {
    World w;
    w.plan(all_handed());
    const Echo web(w.service, "0.0.0.0", 80, "web ");
    const UniqueFd early = testing::connected(w.host, "127.0.0.1", 8080);
    ASSERT_TRUE(sys::write_all(early.get(), "x"));
    ASSERT_TRUE(w.client().retire());
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "connect 111") << "nobody else has the port";
    EXPECT_EQ(w.client().version().value(), net::kNetdVersion);
    EXPECT_FALSE(w.client().hand_over());
    EXPECT_FALSE(w.client().plan(all_handed().to_text()));
    ASSERT_TRUE(w.client().end());
    EXPECT_TRUE(w.netd->ends());
    EXPECT_EQ(testing::heard(early), "") << "ended with it";
  });
}

TEST(NetdTakeover, ItHandsOutItsSandbox) {
  with_rights([] {
    const World w;
    const auto sandbox = w.client().sandbox();
    ASSERT_TRUE(sandbox) << sandbox.error().text();
    struct stat own {
    }, theirs{};
    ASSERT_EQ(::fstat(sandbox->get(), &own), 0);
    ASSERT_EQ(::fstat(w.sandbox.get(), &theirs), 0);
    EXPECT_EQ(own.st_ino, theirs.st_ino);
    EXPECT_FALSE(w.client().service_namespace("web")) << "no plan has named it";
    ASSERT_TRUE(w.client().end());
    EXPECT_TRUE(w.netd->ends());
  });
}

TEST(NetdTakeover, AsManyPortsAsFitIntoNoPacketAreHandedOver) {
  with_rights([] {
    World w;
    net::NetdPlan plan;
    for (std::uint16_t port = 10000; port < 10600; ++port)
      plan.ports.push_back({{address("127.0.0.1"), port}, true, std::nullopt});
    w.plan(plan);
    auto sockets = w.client().hand_over();
    ASSERT_TRUE(sockets) << sockets.error().text();
    EXPECT_EQ(sockets->ports.size(), 600U);
    EXPECT_EQ(sockets->networks.size(), 2U);
    plan.networks = World::networks();
    const Program next(w.host, w.sandbox);
    ASSERT_TRUE(next.client().plan(plan.to_text(), sockets->take(plan).value()));
    const auto again = sockets->take(plan);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Errc::not_found) << "they are out";
    w.netd.reset();
    EXPECT_EQ(talk(w.host, "127.0.0.1", 10599, "x"), "reset") << "the next one has it";
  });
}

}  // namespace
}  // namespace locald::netd
