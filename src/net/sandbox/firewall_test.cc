#include "net/sandbox/firewall.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "net/sandbox/netlink.h"
#include "net/sandbox/sandbox_testing.h"

namespace locald::net {
namespace {

using testing::address;
using testing::connect_in;
using testing::listen_in;
using testing::subnet;
using testing::with_rights;

constexpr std::uint16_t kRelayPort = 15001;
/// SO_ORIGINAL_DST of <linux/netfilter_ipv4.h>, which cannot stand beside <netinet/in.h>.
constexpr int kOriginalDestination = 80;

/// A sandbox with a network that has a way out and one that has none, a service in each.
struct Networks {
  UniqueFd sandbox, open, closed;
  std::vector<BridgePolicy> policies{
      {"br0", {subnet("10.90.0.1/24"), subnet("fd90::1/64")}, kRelayPort},
      {"br1", {subnet("10.90.1.1/24"), subnet("fd91::1/64")}, 0}};

  Networks() {
    std::vector<Bridge> bridges;
    for (const BridgePolicy& each : policies) bridges.push_back({each.bridge, each.addresses});
    sandbox = make_sandbox(bridges).value();
    open = service("br0", "v2", {"10.90.0.2/24", "fd90::2/64"}, {"10.90.0.1", "fd90::1"});
    closed = service("br1", "v3", {"10.90.1.2/24", "fd91::2/64"}, {"10.90.1.1", "fd91::1"});
    write();
  }
  UniqueFd service(const char* bridge, const char* end, std::vector<const char*> addresses,
                   std::vector<const char*> routes) const {
    Link link{bridge, end, "eth0", {}, {}};
    for (const char* each : addresses) link.addresses.push_back(subnet(each));
    for (const char* each : routes) link.routes.push_back(address(each));
    return make_attached(sandbox.get(), {link}).value();
  }
  void write() const {
    const auto written = in_namespace(sandbox.get(), [this] { return write_firewall(policies); });
    ASSERT_TRUE(written) << written.error().text();
  }
};

TEST(Firewall, TcpThatLeavesTheNetworkComesToTheRelay) {
  with_rights([] {
    Networks n;
    const UniqueFd relay = listen_in(n.sandbox, address("0.0.0.0"), kRelayPort);
    const UniqueFd relay6 = listen_in(n.sandbox, address("::"), kRelayPort);
    EXPECT_EQ(connect_in(n.open, address("192.0.2.7"), 443), 0);
    const UniqueFd came(::accept4(relay.get(), nullptr, nullptr, SOCK_CLOEXEC));
    sockaddr_in wanted{};
    socklen_t size = sizeof wanted;
    ASSERT_EQ(::getsockopt(came.get(), SOL_IP, kOriginalDestination, &wanted, &size), 0);
    EXPECT_EQ(ntohl(wanted.sin_addr.s_addr), 0xC0000207U);
    EXPECT_EQ(ntohs(wanted.sin_port), 443);

    EXPECT_EQ(connect_in(n.open, address("2001:db8::7"), 443), ECONNREFUSED) << "no IPv6 outside";
    n.policies[0].relay_v6 = true;
    n.write();
    EXPECT_EQ(connect_in(n.open, address("2001:db8::7"), 443), 0);
  });
}

TEST(Firewall, WhatMayNotLeaveIsRefusedAtOnce) {
  with_rights([] {
    Networks n;
    const UniqueFd relay = listen_in(n.sandbox, address("0.0.0.0"), kRelayPort);
    const UniqueFd relay6 = listen_in(n.sandbox, address("::"), kRelayPort);
    EXPECT_EQ(connect_in(n.closed, address("192.0.2.7"), 443), ECONNREFUSED) << "internal";
    EXPECT_EQ(connect_in(n.closed, address("2001:db8::7"), 443), ECONNREFUSED) << "internal";
    EXPECT_EQ(connect_in(n.open, address("10.90.0.1"), kRelayPort), ECONNREFUSED) << "by hand";
    EXPECT_EQ(connect_in(n.open, address("fd90::1"), kRelayPort), ECONNREFUSED) << "by hand";
    EXPECT_EQ(connect_in(n.open, address("10.90.0.1"), 9), ECONNREFUSED);
    for (const char* other : {"10.90.1.1", "10.90.1.2", "fd91::1", "fd91::2"}) {
      EXPECT_EQ(connect_in(n.open, address(other), kRelayPort), ECONNREFUSED) << other;
      EXPECT_EQ(connect_in(n.open, address(other), 53), ECONNREFUSED) << other;
    }
    EXPECT_EQ(connect_in(n.open, address("169.254.169.254"), 80), ECONNREFUSED);
    n.policies[0].allowed = {subnet("169.254.169.254/32")};
    n.write();
    EXPECT_EQ(connect_in(n.open, address("169.254.169.254"), 80), 0);
    EXPECT_EQ(connect_in(n.open, address("169.254.169.253"), 80), ECONNREFUSED);

    // UDP is not carried: ICMP says so.
    (void)in_namespace(n.open.get(), []() -> Result<void> {
      const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const SocketAddress to(address("192.0.2.7"), 123);
      EXPECT_EQ(::connect(fd.get(), to.get(), to.size()), 0);
      EXPECT_EQ(::send(fd.get(), "?", 1, 0), 1);
      pollfd wait{fd.get(), POLLIN, 0};
      EXPECT_EQ(::poll(&wait, 1, 3000), 1);
      char byte = 0;
      EXPECT_EQ(::recv(fd.get(), &byte, 1, 0), -1);
      EXPECT_TRUE(errno == EHOSTUNREACH || errno == EACCES) << errno;
      return {};
    });
  });
}

TEST(Firewall, WhatIsRelayedMayBeSomeNetworksAlone) {
  with_rights([] {
    Networks n;
    n.policies[0].relayed = {subnet("10.90.240.0/20")};
    n.write();
    const UniqueFd relay = listen_in(n.sandbox, address("0.0.0.0"), kRelayPort);
    EXPECT_EQ(connect_in(n.open, address("10.90.240.2"), 3000), 0);
    EXPECT_EQ(connect_in(n.open, address("192.0.2.7"), 443), ECONNREFUSED);
  });
}

TEST(Firewall, WhereItForwardsNetworksStayApart) {
  with_rights([] {
    Networks n;
    n.policies[0].group = 7;  // as the links of plugins are
    ASSERT_TRUE(in_namespace(n.sandbox.get(), [&]() -> Result<void> {
      TRY(let_forward());
      Netlink links = TRY(Netlink::open());
      TRY(links.add_bridge("br2", kMtu));
      TRY(links.add_address("br2", subnet("10.90.2.1/24")));
      TRY(links.set_group("br2", 7));
      return links.set_group("br0", 7);
    }));
    n.policies[0].addresses.push_back(subnet("10.90.2.1/24"));
    n.write();
    const UniqueFd same = n.service("br2", "v4", {"10.90.2.2/24"}, {"10.90.2.1"});
    const UniqueFd there = listen_in(same, address("10.90.2.2"), 5432);
    const UniqueFd other = listen_in(n.closed, address("10.90.1.2"), 5432);
    EXPECT_EQ(connect_in(n.open, address("10.90.2.2"), 5432), 0) << "a link of the same network";
    EXPECT_EQ(connect_in(n.open, address("10.90.1.2"), 5432), ECONNREFUSED) << "another network";
    EXPECT_EQ(connect_in(n.closed, address("10.90.2.2"), 5432), ECONNREFUSED) << "another network";
    EXPECT_EQ(connect_in(n.closed, address("192.0.2.7"), 443), ECONNREFUSED) << "nothing leaves";
  });
}

TEST(Firewall, NamesAreAskedOfTheBridge) {
  with_rights([] {
    const Networks n;
    const UniqueFd dns = listen_in(n.sandbox, address("10.90.0.1"), 53);
    const UniqueFd dns6 = listen_in(n.sandbox, address("fd90::1"), 53);
    EXPECT_EQ(connect_in(n.open, address("10.90.0.1"), 53), 0);
    EXPECT_EQ(connect_in(n.open, address("fd90::1"), 53), 0);
    EXPECT_EQ(connect_in(n.closed, address("10.90.0.1"), 53), ECONNREFUSED) << "another network's";
  });
}

}  // namespace
}  // namespace locald::net
