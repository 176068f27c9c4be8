#include "net/ip_address.h"

#include <gtest/gtest.h>

namespace locald::net {
namespace {

TEST(IpAddress, IsReadAndWritten) {
  for (const char* text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "fd00:1::2"})
    EXPECT_EQ(IpAddress::parse(text)->text(), text);
  for (const char* text :
       {"", "10.1.2", "10.1.2.3.4", "256.1.1.1", "fe80::1%eth0", ":", "1.2.3.4 "})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.1.2.3\0x", 10)));
  EXPECT_EQ(IpAddress::v4(0x0A010203).text(), "10.1.2.3");
}

TEST(Subnet, KnowsWhatItHolds) {
  const auto is = [](const char* text) { return *Subnet::parse(text); };
  EXPECT_EQ(is("10.1.2.77/24").network().text(), "10.1.2.0");
  EXPECT_EQ(is("10.1.2.0/24").network().plus(254).text(), "10.1.2.254");
  EXPECT_EQ(is("10.1.2.0/22").network().text(), "10.1.0.0");
  EXPECT_EQ(is("fd12:3456::/64").network().plus(0x10002).text(), "fd12:3456::1:2");
  EXPECT_TRUE(is("10.1.2.0/24").contains(*IpAddress::parse("10.1.2.255")));
  EXPECT_FALSE(is("10.1.2.0/24").contains(*IpAddress::parse("10.1.3.0")));
  EXPECT_FALSE(is("0.0.0.0/0").contains(*IpAddress::parse("::1")));
  EXPECT_TRUE(is("10.0.0.0/8").overlaps(is("10.9.0.0/24")));
  EXPECT_TRUE(is("10.9.0.0/24").overlaps(is("10.0.0.0/8")));
  EXPECT_FALSE(is("10.9.0.0/24").overlaps(is("10.9.1.0/24")));
  EXPECT_EQ(is("10.1.2.0/24").size(), 256U);
  EXPECT_EQ(is("fd00::/64").size(), 0xFFFFFFFFU);
  for (const char* text : {"10.1.2.0", "10.1.2.0/", "10.1.2.0/33", "10.1.2.0/-1", "x/8", "::/129"})
    EXPECT_FALSE(Subnet::parse(text)) << text;
}

}  // namespace
}  // namespace locald::net
