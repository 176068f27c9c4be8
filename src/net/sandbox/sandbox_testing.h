#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string_view>
#include <vector>

#include "net/sandbox/firewall.h"
#include "net/sandbox/sandbox.h"
#include "net/socket_address.h"

/// For tests with network namespaces of their own.
namespace locald::net::testing {

/// This machine, or this user, cannot have such namespaces: any other failure is the code's.
inline bool lacks_what_is_needed() {
  const auto cannot = [](const Error& error) {
    switch (error.sys_errno()) {
      case EPERM:
      case EACCES:
      case EOPNOTSUPP:
      case EAFNOSUPPORT:
      case ENOSPC:  // user.max_net_namespaces
        return true;
      default:
        return error.code() == Errc::unsupported;
    }
  };
  const std::vector<Subnet> addresses{Subnet::parse("10.90.0.1/24").value(),
                                      Subnet::parse("fd90::1/64").value()};
  const auto sandbox = make_sandbox({{"br0", addresses}});
  if (!sandbox) return cannot(sandbox.error());
  const auto written = in_namespace(sandbox->get(), [&] {
    return write_firewall({{"br0", addresses, 1, true}});
  });
  return !written && cannot(written.error());
}

/// Runs `body` in a process that may make network namespaces: in a user namespace where this is not
/// root. Skips the test where that is not allowed.
inline void with_rights(const std::function<void()>& body) {
  const uid_t uid = ::geteuid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_IGN);  // peers reset connections, as they should
    ::alarm(120);                // one that hangs has failed
    if (uid != 0) {
      if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
      std::ofstream("/proc/self/setgroups") << "deny";
      std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    }
    if (lacks_what_is_needed()) ::_exit(77);
    body();
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "needs network namespaces with bridges, IPv6 and nf_tables";
  EXPECT_EQ(status, 0);
}

inline Subnet subnet(std::string_view text) { return Subnet::parse(text).value(); }
inline IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

/// A TCP socket that listens in `netns`.
inline UniqueFd listen_in(const UniqueFd& netns, const IpAddress& at, std::uint16_t port) {
  UniqueFd out;
  EXPECT_TRUE(in_namespace(netns.get(), [&]() -> Result<void> {
    out = UniqueFd(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (at.is_v6()) ::setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    const SocketAddress where(at, port);
    EXPECT_EQ(::bind(out.get(), where.get(), where.size()), 0) << errno;
    EXPECT_EQ(::listen(out.get(), 64), 0);
    return {};
  }));
  return out;
}

/// What connect(2) says in `netns`: 0, or errno; EINPROGRESS where nothing was heard for `seconds`.
inline int connect_in(const UniqueFd& netns, const IpAddress& to, std::uint16_t port,
                      int seconds = 10) {
  int error = -1;
  EXPECT_TRUE(in_namespace(netns.get(), [&]() -> Result<void> {
    const UniqueFd fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{seconds, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const SocketAddress where(to, port);
    error = ::connect(fd.get(), where.get(), where.size()) == 0 ? 0 : errno;
    return {};
  }));
  return error;
}

}  // namespace locald::net::testing
