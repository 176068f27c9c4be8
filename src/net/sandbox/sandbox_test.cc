#include "net/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::net {
namespace {

/// In a process that may make network namespaces: a user namespace where this is not root.
void with_rights(const std::function<void()>& body) {
  const uid_t uid = ::geteuid();
  const pid_t child = ::fork();
  if (child == 0) {
    if (uid != 0) {
      if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
      std::ofstream("/proc/self/setgroups") << "deny";
      std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    }
    if (const auto tried = make_namespace(); !tried && tried.error().sys_errno() == EPERM)
      ::_exit(77);
    body();
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "this user may not make network namespaces";
  EXPECT_EQ(status, 0);
}

Subnet subnet(std::string_view text) { return *Subnet::parse(text); }
IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

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
    const auto one = make_attached(
        sandbox->get(), {{"br0", "v2", "eth0", {subnet("10.90.0.2/24"), subnet("fd90::2/64")},
                          {address("10.90.0.1"), address("fd90::1")}}});
    ASSERT_TRUE(one) << one.error().text();
    const auto two = make_attached(
        sandbox->get(), {{"br0", "v3", "eth0", {subnet("10.90.0.3/24"), subnet("fd90::3/64")}, {}}});
    ASSERT_TRUE(two) << two.error().text();
    const auto apart = make_attached(
        sandbox->get(),
        {{"br1", "v4", "eth0", {subnet("10.90.1.2/24")}, {address("10.90.1.1")}}});
    ASSERT_TRUE(apart) << apart.error().text();

    UniqueFd server, server6;
    const auto listen_at = [](int family, const sockaddr* at, socklen_t size) {
      UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::bind(fd.get(), at, size), 0) << errno;
      EXPECT_EQ(::listen(fd.get(), 8), 0);
      return fd;
    };
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(5432);
    sockaddr_in6 at6{};
    at6.sin6_family = AF_INET6;
    at6.sin6_port = htons(5432);
    ::inet_pton(AF_INET6, "fd90::3", &at6.sin6_addr);
    ASSERT_TRUE(in_namespace(two->get(), [&]() -> Result<void> {
      server = listen_at(AF_INET, reinterpret_cast<const sockaddr*>(&at), sizeof at);
      server6 = listen_at(AF_INET6, reinterpret_cast<const sockaddr*>(&at6), sizeof at6);
      return {};
    }));
    ::inet_pton(AF_INET, "10.90.0.3", &at.sin_addr);
    const auto connects = [&](const UniqueFd& from, const sockaddr* to, socklen_t size) {
      int error = -1;
      (void)in_namespace(from.get(), [&]() -> Result<void> {
        UniqueFd fd(::socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const timeval limit{0, 300'000};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        error = ::connect(fd.get(), to, size) == 0 ? 0 : errno;
        return {};
      });
      return error;
    };
    const auto* v4 = reinterpret_cast<const sockaddr*>(&at);
    EXPECT_EQ(connects(*one, v4, sizeof at), 0);
    EXPECT_EQ(connects(*one, reinterpret_cast<const sockaddr*>(&at6), sizeof at6), 0);
    EXPECT_NE(connects(*apart, v4, sizeof at), 0) << "another network of the project";

    const std::string routes = in(*one, "/proc/thread-self/net/route");
    EXPECT_NE(routes.find("eth0\t00000000\t01005A0A"), std::string::npos) << routes;
    EXPECT_EQ(in(*sandbox, "/proc/sys/net/ipv4/ip_forward"), "0\n");
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
