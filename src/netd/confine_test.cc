#include "netd/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>

#include "base/sys/unique_fd.h"
#include "net/sandbox/sandbox_testing.h"
#include "net/socket_address.h"

namespace locald::netd {
namespace {

/// What a call says: 0 where it did what was asked.
int said(long result) { return result < 0 ? errno : 0; }

/// Runs `body` in a process that is confined to `role`.
void confined(Role role, const std::function<void()>& body) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's runtime makes calls of its own: nothing is filtered";
#endif
  net::testing::with_rights([&] {
    const auto done = confine(role);
    ASSERT_TRUE(done) << done.error().text();
    body();
    // The fixture would end in its own way, which takes calls that are not allowed.
    if (::testing::Test::HasFailure()) std::fflush(stdout);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  });
}

void nothing_of_the_machine() {
  for (const char* path : {"/etc/passwd", "/proc/self/status", "/", "."})
    EXPECT_NE(said(::open(path, O_RDONLY | O_CLOEXEC)), 0) << path;
  char* const none[] = {nullptr};
  EXPECT_EQ(said(::execve("/bin/true", none, none)), EPERM);
  EXPECT_EQ(said(::fork()), EPERM);
  EXPECT_EQ(said(::kill(::getppid(), 0)), EPERM);
  EXPECT_EQ(said(::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr)), EPERM);
  EXPECT_EQ(said(::unshare(CLONE_NEWUSER)), EPERM);
  EXPECT_EQ(said(::socket(AF_UNIX, SOCK_STREAM, 0)), EPERM);
  EXPECT_EQ(said(::socket(AF_PACKET, SOCK_RAW, 0)), EPERM);
}

TEST(Confine, WhatHoldsConnectionsMakesNone) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  confined(Role::connections, [&] {
    nothing_of_the_machine();
    const net::SocketAddress loopback(net::IpAddress::v4(INADDR_LOOPBACK), 22);
    EXPECT_EQ(said(::socket(AF_INET, SOCK_STREAM, 0)), EPERM);
    EXPECT_EQ(said(::connect(socket.get(), loopback.get(), loopback.size())), EPERM);
    EXPECT_EQ(said(::bind(socket.get(), loopback.get(), loopback.size())), EPERM);
    EXPECT_EQ(said(::listen(socket.get(), 1)), EPERM);
    EXPECT_EQ(said(::sendto(socket.get(), "x", 1, MSG_FASTOPEN, loopback.get(), loopback.size())),
              EPERM);
    const int on = 1;
    EXPECT_EQ(said(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)), EPERM);
  });
}

TEST(Confine, WhatConnectsInsideKnowsNoOtherKindOfSocket) {
  confined(Role::inside, [] {
    nothing_of_the_machine();
    EXPECT_EQ(said(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0);
    EXPECT_EQ(said(::socket(AF_NETLINK, SOCK_RAW, 0)), EPERM);
  });
}

TEST(Confine, WhatConnectsOutsideLooksAtRoutesToo) {
  confined(Role::outside, [] {
    nothing_of_the_machine();
    EXPECT_EQ(said(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0);
    EXPECT_EQ(said(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)), 0);
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const net::SocketAddress any(net::IpAddress(), 0);
    EXPECT_EQ(said(::bind(socket.get(), any.get(), any.size())), EPERM);
  });
}

}  // namespace
}  // namespace locald::netd
