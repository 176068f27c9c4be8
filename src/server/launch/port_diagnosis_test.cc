#include "server/launch/port_diagnosis.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "net/sandbox/netd_sockets.h"

namespace locald::server {
namespace {

using net::AddressAndPort;

net::IpAddress loopback() { return net::IpAddress::v4(0x7F000001); }

/// A listener of this process, at a free port.
struct Held {
  UniqueFd fd;
  std::uint16_t port;
};
Held hold() {
  for (;;) {
    const std::uint16_t port = net::free_port().value();
    if (auto fd = net::listen_tcp({loopback(), port})) return {std::move(*fd), port};
  }
}

Error in_use(std::uint16_t port) {
  return Error::from_errno(EADDRINUSE, "bind " + std::to_string(port));
}

TEST(PortDiagnosis, APublishedPortIsItsServices) {
  const Held held = hold();
  const PortDiagnosis ports(
      [&](int pid, const AddressAndPort& port, bool udp) -> std::optional<net::PortPublisher> {
        EXPECT_EQ(pid, ::getpid());
        EXPECT_EQ(port, (AddressAndPort{loopback(), held.port}));
        EXPECT_FALSE(udp);
        return net::PortPublisher{"shop", "web"};
      });
  const Error error = ports.explain(in_use(held.port), {loopback(), held.port}, false);
  EXPECT_EQ(error.code(), Errc::unavailable);
  EXPECT_EQ(error.message(), "port " + std::to_string(held.port) +
                                 " is in use: it is published by service web of project shop");
  EXPECT_EQ(error.hint(),
            "give one of the two services another port, or stop that one: locald -p shop stop web");
  EXPECT_EQ(ports.describe(net::find_port_holder(held.port), held.port),
            "service web of project shop, which publishes it");
}

TEST(PortDiagnosis, APortOfAnotherProcessIsThatProcesss) {
  const Held held = hold();
  const PortDiagnosis ports([](int, const AddressAndPort&, bool) { return std::nullopt; });
  const Error error = ports.explain(in_use(held.port), {net::IpAddress(), held.port}, false);
  EXPECT_NE(error.message().find("is in use by pid " + std::to_string(::getpid()) + " ("),
            std::string::npos)
      << error.message();
}

TEST(PortDiagnosis, OnlyWhatIsInTheWayIsNamed) {
  const Held held = hold();
  // Of another address, and of another family, nobody is.
  const auto holder = [&](const char* address) {
    return net::find_port_holder({net::IpAddress::parse(address).value(), held.port}, false);
  };
  EXPECT_TRUE(holder("127.0.0.1"));
  EXPECT_TRUE(holder("0.0.0.0"));
  EXPECT_FALSE(holder("127.0.0.2"));
  EXPECT_FALSE(holder("::1"));
  EXPECT_FALSE(holder("::"));
  EXPECT_FALSE(net::find_port_holder({loopback(), held.port}, false, {loopback()}));
  EXPECT_FALSE(net::find_port_holder({loopback(), held.port}, /*udp=*/true));
}

TEST(PortDiagnosis, AUdpPortHasAHolderToo) {
  const std::uint16_t port = net::free_port().value();
  const auto held = net::bind_udp({loopback(), port});
  ASSERT_TRUE(held) << held.error().text();
  const Error error = PortDiagnosis().explain(in_use(port), {loopback(), port}, true);
  EXPECT_NE(error.message().find("port " + std::to_string(port) + "/udp is in use by pid " +
                                 std::to_string(::getpid())),
            std::string::npos)
      << error.message();
}

TEST(PortDiagnosis, AnAddressOfNobodyHereIsSaidToBeThat) {
  const Error error =
      PortDiagnosis().explain(Error::from_errno(EADDRNOTAVAIL, "bind"),
                              {net::IpAddress::parse("198.51.100.7").value(), 80}, false);
  EXPECT_EQ(error.message(),
            "cannot publish port 80 at 198.51.100.7: that is not an address of this host");
  EXPECT_NE(error.hint().find("it has 127.0.0.1"), std::string::npos) << error.hint();
}

}  // namespace
}  // namespace locald::server
