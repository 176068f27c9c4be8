#include "net/netd_handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace locald::net {
namespace {

std::vector<UniqueFd> descriptors(std::size_t count) {
  std::vector<UniqueFd> out;
  for (std::size_t i = 0; i < count; ++i)
    out.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return out;
}
std::vector<int> numbers(const std::vector<UniqueFd>& fds) {
  std::vector<int> out;
  for (const UniqueFd& each : fds) out.push_back(each.get());
  return out;
}

constexpr const char* kText =
    "network 0 handed relays 10.90.0.1 fd90::1\n"
    "network 1 kept internal 10.90.1.1\n"
    "name 0 db 10.90.0.2 fd90::2\n"
    "port 127.0.0.1 53 handed forward 10.90.0.2 53\n"
    "port ::1 80 kept reset\n"
    "udp 127.0.0.1 53 handed forward 10.90.0.2 53\n"
    "service web handed 0 1\n"
    "service db kept 1\n";

TEST(NetdPlan, IsReadAsItIsWritten) {
  const auto plan = NetdPlan::parse(kText);
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_EQ(plan->to_text(), kText);
  EXPECT_NE(plan->ports[0].key(), plan->ports[2].key()) << "TCP and UDP";
  for (const char* bad : {"udp 127.0.0.1 53 handed", "udp 127.0.0.1 70000 kept reset",
                          "service web", "service web handed x", "sctp 127.0.0.1 53 kept reset"})
    EXPECT_FALSE(NetdPlan::parse(bad)) << bad;
}

TEST(NetdSockets, ComeOutInTheOrderOfAnyPlan) {
  NetdPlan plan = NetdPlan::parse(kText).value();
  auto fds = descriptors(6 + 2 + 3);
  const std::vector<int> in = numbers(fds);
  NetdSockets sockets;
  ASSERT_TRUE(sockets.add(plan, std::move(fds)));
  std::swap(plan.ports[0], plan.ports[2]);
  const auto out = sockets.take(plan);
  ASSERT_TRUE(out) << out.error().text();
  std::vector<int> wanted = in;
  std::swap(wanted[6], wanted[7]);
  EXPECT_EQ(numbers(*out), wanted);
  const auto again = sockets.take(plan);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Errc::not_found);
}

TEST(NetdSockets, AWrongNumberIsRefused) {
  const NetdPlan plan = NetdPlan::parse(kText).value();
  for (const std::size_t wrong : {0, 5, 10, 12}) {
    NetdSockets sockets;
    EXPECT_FALSE(sockets.add(plan, descriptors(wrong))) << wrong;
  }
}

}  // namespace
}  // namespace locald::net
