#include "net/sandbox/sandbox.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/sys/fs_at.h"
#include "net/sandbox/sandbox_testing.h"

namespace locald::net {
namespace {

using testing::address;
using testing::connect_in;
using testing::listen_in;
using testing::subnet;
using testing::with_rights;

std::string in(const UniqueFd& netns, const std::string& file) {
  std::string out;
  const auto done = in_namespace(netns.get(), [&]() -> Result<void> {
    out = TRY(read_file(file));
    return {};
  });
  EXPECT_TRUE(done) << done.error().text();
  return out;
}

TEST(Sandbox, AServiceReachesAnotherOneOfItsNetworkAndNoneOfTheNext) {
  with_rights([] {
    const auto sandbox = make_sandbox({{"br0", {subnet("10.90.0.1/24"), subnet("fd90::1/64")}},
                                       {"br1", {subnet("10.90.1.1/24")}}});
    ASSERT_TRUE(sandbox) << sandbox.error().text();
    const auto one = make_attached(sandbox->get(), {{"br0",
                                                     "v2",
                                                     "eth0",
                                                     {subnet("10.90.0.2/24"), subnet("fd90::2/64")},
                                                     {address("10.90.0.1"), address("fd90::1")}}});
    ASSERT_TRUE(one) << one.error().text();
    const auto two =
        make_attached(sandbox->get(),
                      {{"br0", "v3", "eth0", {subnet("10.90.0.3/24"), subnet("fd90::3/64")}, {}}});
    ASSERT_TRUE(two) << two.error().text();
    const auto apart = make_attached(
        sandbox->get(), {{"br1", "v4", "eth0", {subnet("10.90.1.2/24")}, {address("10.90.1.1")}}});
    ASSERT_TRUE(apart) << apart.error().text();

    const UniqueFd server = listen_in(*two, address("0.0.0.0"), 5432);
    const UniqueFd server6 = listen_in(*two, address("fd90::3"), 5432);
    EXPECT_EQ(connect_in(*one, address("10.90.0.3"), 5432), 0);
    EXPECT_EQ(connect_in(*one, address("fd90::3"), 5432), 0);
    EXPECT_NE(connect_in(*apart, address("10.90.0.3"), 5432, 1), 0) << "another network";

    const std::string routes = in(*one, "/proc/thread-self/net/route");
    EXPECT_NE(routes.find("eth0\t00000000\t01005A0A"), std::string::npos) << routes;
    EXPECT_EQ(in(*sandbox, "/proc/sys/net/ipv4/ip_forward"), "0\n");
    if (::access("/proc/sys/net", W_OK) == 0) {
      EXPECT_EQ(in(*sandbox, "/proc/sys/net/ipv4/tcp_tw_reuse"), "1\n");
    }
  });
}

TEST(Sandbox, OneThatGetsTheAddressOfAnEarlierOneIsReachedSoon) {
  with_rights([] {
    const auto sandbox = make_sandbox({{"br0", {subnet("10.90.0.1/24")}}});
    ASSERT_TRUE(sandbox) << sandbox.error().text();
    const auto one =
        make_attached(sandbox->get(), {{"br0", "v2", "eth0", {subnet("10.90.0.2/24")}, {}}});
    ASSERT_TRUE(one) << one.error().text();
    for (const char* link : {"v3", "v4", "v5"}) {
      const auto two =
          make_attached(sandbox->get(), {{"br0", link, "eth0", {subnet("10.90.0.3/24")}, {}}});
      ASSERT_TRUE(two) << two.error().text();
      const UniqueFd server = listen_in(*two, address("10.90.0.3"), 5432);
      // The kernel takes its time with the namespace of before, which refuses until then.
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
      int said = 0;
      while ((said = connect_in(*one, address("10.90.0.3"), 5432, 5)) == ECONNREFUSED &&
             std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      EXPECT_EQ(said, 0) << "its MAC is in the ARP table of the first";
    }
  });
}

TEST(Sandbox, ANamespaceAloneHasItsLoopback) {
  with_rights([] {
    const auto none = make_namespace();
    ASSERT_TRUE(none) << none.error().text();
    const std::string links = in(*none, "/proc/thread-self/net/dev");
    EXPECT_NE(links.find(" lo:"), std::string::npos) << links;
    EXPECT_EQ(links.find("eth0"), std::string::npos) << links;
  });
}

TEST(Sandbox, WhatCannotBeMadeIsNamed) {
  with_rights([] {
    const auto sandbox = make_sandbox({{"br0", {subnet("10.90.0.1/24")}}});
    ASSERT_TRUE(sandbox);
    const auto lost = make_attached(sandbox->get(), {{"br7", "v2", "eth0", {}, {}}});
    ASSERT_FALSE(lost);
    EXPECT_NE(lost.error().text().find("br7"), std::string::npos) << lost.error().text();
    const auto twice = make_sandbox({{"br0", {}}, {"br0", {}}});
    ASSERT_FALSE(twice);
    EXPECT_NE(twice.error().text().find("make the bridge br0"), std::string::npos)
        << twice.error().text();
  });
}

}  // namespace
}  // namespace locald::net
