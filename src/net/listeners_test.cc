#include "net/listeners.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "base/sys/unique_fd.h"
#include "net/listen_testing.h"
#include "net/ports.h"
#include "net/probe.h"

namespace locald::net {
namespace {

using namespace std::chrono_literals;

TEST(Ports, NameTheHolder) {
  const auto port = free_port();
  ASSERT_TRUE(port);
  EXPECT_TRUE(check_port_free(*port));
  EXPECT_FALSE(find_port_holder(*port));
  const Listening listening = listen_on("127.0.0.1", *port);
  EXPECT_EQ(check_port_free(*port).error().code(), Errc::already_exists);
  const auto holder = find_port_holder(*port);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, ::getpid());
  EXPECT_EQ(holder->address, "127.0.0.1");
  EXPECT_NE(holder->command.find("net_test"), std::string::npos);
}

TEST(Ports, OneThatOnlyIPv6HasIsInUse) {
  if (!has_ipv6()) GTEST_SKIP() << "needs IPv6 on loopback";
  const Listening six = listen_on("::1");
  EXPECT_EQ(check_port_free(six.port).error().code(), Errc::already_exists);
  const auto holder = find_port_holder(six.port);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->address, "::1");
  EXPECT_EQ(holder->pid, ::getpid());
}

TEST(Ports, AConnectionThatHasEndedHoldsThePortOnlyWhereAServerCouldNotBindEither) {
  Listening friendly = listen_on("127.0.0.1", 0, /*reuse=*/true);
  connect_and_close(friendly);
  friendly.fd.reset();
  EXPECT_TRUE(check_port_free(friendly.port)) << "SO_REUSEADDR on both sides";

  Listening other = listen_on("127.0.0.1");
  connect_and_close(other);
  other.fd.reset();
  EXPECT_EQ(check_port_free(other.port).error().code(), Errc::already_exists);
  const auto holder = find_port_holder(other.port);
  ASSERT_TRUE(holder);
  EXPECT_TRUE(holder->lingers);
  EXPECT_EQ(holder->pid, 0);
}

TEST(Listeners, AreFoundByPortWithTheirFamilies) {
  const Listening four = listen_on("0.0.0.0");
  auto found = listeners(four.port).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].address, "0.0.0.0");
  EXPECT_EQ(found[0].uid, ::getuid());
  EXPECT_FALSE(found[0].loopback || found[0].v6() || found[0].dual);
  if (!has_ipv6()) GTEST_SKIP() << "the second half needs IPv6 on this machine";
  const Listening six = listen_on("::", 0, false, /*v6only=*/true);
  const Listening both = listen_on("::");
  found = listeners(six.port).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].v6() && found[0].any() && !found[0].dual);
  found = listeners(both.port).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].dual);
  const auto all = listeners().value();
  EXPECT_TRUE(std::find(all.begin(), all.end(), found[0]) != all.end());
}

TEST(Listeners, AreReadFromText) {
  const std::string text =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
      "12345 1 0 100 0 0 10 0\n"
      "   1: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 "
      "12346 1 0 100 0 0 10 0\n"
      "rubbish\n";
  const auto found = parse_proc_net_tcp(text, false);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].address, "127.0.0.1");
  EXPECT_EQ(found[0].port, 8080);
  EXPECT_EQ(found[0].inode, 12345u);
  const auto six = parse_proc_net_tcp(
      "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 00:00000000 "
      "00000000 0 0 99 1\n",
      true);
  ASSERT_EQ(six.size(), 1u);
  EXPECT_EQ(six[0].address, "::");
  EXPECT_FALSE(six[0].loopback);
}

TEST(Probe, ConnectsAndAsks) {
  EventLoop loop;
  const Listening listening = listen_on("127.0.0.1");
  const std::uint16_t port = listening.port;
  std::string tcp = "none", http = "none", refused = "none";
  auto a =
      probe_tcp(loop, "localhost", port, 1s, [&](const Verdict& v) { tcp = v ? "ok" : v.reason; });
  auto b = probe_http(loop, {"127.0.0.1", "localhost"}, port, "/", 50ms, [&](const Verdict& v) {
    http = v ? "ok" : v.reason;
    loop.stop();
  });
  auto c = probe_tcp(loop, "127.0.0.1", *free_port(), 1s,
                     [&](const Verdict& v) { refused = v ? "ok" : v.reason; });
  loop.run();
  EXPECT_EQ(tcp, "ok");
  EXPECT_NE(http.find("no answer within 50 ms"), std::string::npos) << http;
  EXPECT_NE(refused.find("Connection refused"), std::string::npos) << refused;
}

}  // namespace
}  // namespace locald::net
