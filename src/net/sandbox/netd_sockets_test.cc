#include "net/sandbox/netd_sockets.h"

#include <gtest/gtest.h>

#include <array>

#include "net/sandbox/sandbox_testing.h"

namespace locald::net {
namespace {

using testing::address;
using testing::connect_in;
using testing::listen_in;
using testing::with_rights;

TEST(ServiceSockets, TheyAreAskedAtPort53WhichStaysFree) {
  with_rights([] {
    const auto service = make_namespace();
    ASSERT_TRUE(service);
    const auto sockets = make_service_sockets(service->get());
    ASSERT_TRUE(sockets) << sockets.error().text();
    ASSERT_EQ(sockets->size(), 3U);
    const UniqueFd tcp = listen_in(*service, address("0.0.0.0"), 53);
    EXPECT_EQ(connect_in(*service, kServiceDns.address, 53), 0);
    const UniqueFd came(::accept4((*sockets)[2].get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(came) << "not the service's own server";
    EXPECT_EQ(connect_in(*service, address("127.0.0.1"), 53), 0);
    const UniqueFd own(::accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(own);

    ASSERT_TRUE(in_namespace(service->get(), [&]() -> Result<void> {
      const UniqueFd server = TRY(bind_udp({address("0.0.0.0"), 53}));
      const UniqueFd client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const timeval limit{5, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const SocketAddress to(kServiceDns.address, 53);
      EXPECT_EQ(::connect(client.get(), to.get(), to.size()), 0);
      EXPECT_EQ(::send(client.get(), "asked", 5, 0), 5);
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      std::array<char, 16> bytes;
      EXPECT_EQ(::recvfrom((*sockets)[1].get(), bytes.data(), bytes.size(), 0,
                           reinterpret_cast<sockaddr*>(&from), &size),
                5);
      EXPECT_EQ(::sendto((*sockets)[1].get(), "answered", 8, 0,
                         reinterpret_cast<const sockaddr*>(&from), size),
                8);
      EXPECT_EQ(::recv(client.get(), bytes.data(), bytes.size(), 0), 8) << "from port 53";
      return {};
    }));

    // A netd that died has taken its sockets along: its successor's are asked from now on.
    const auto next = make_service_sockets(service->get());
    ASSERT_TRUE(next) << next.error().text();
    EXPECT_EQ(connect_in(*service, kServiceDns.address, 53), 0);
    const UniqueFd late(::accept4((*next)[2].get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(late);
  });
}

}  // namespace
}  // namespace locald::net
