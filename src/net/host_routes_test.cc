#include "net/host_routes.h"

#include <gtest/gtest.h>

namespace locald::net {
namespace {

TEST(HostRoutes, AreThoseOfTheKernelsTableButForTheDefaultOne) {
  // Two links and a host route; then what no kernel writes.
  const auto routes = parse_host_routes(
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
      "eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0\n"
      "tun0\t0701640A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
      "tun0\t07016\n"
      "tun0\there\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n\n");
  ASSERT_EQ(routes.size(), 2u);
  EXPECT_EQ(routes[0].to.text(), "192.168.0.0/16");
  EXPECT_EQ(routes[0].link, "eth0");
  EXPECT_EQ(routes[1].to.text(), "10.100.1.7/32");
  EXPECT_EQ(routes[1].link, "tun0");
  EXPECT_TRUE(parse_host_routes("").empty());
}

}  // namespace
}  // namespace locald::net
