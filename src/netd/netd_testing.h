#pragma once
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/netd_client.h"
#include "net/netd_plan.h"
#include "net/netd_start.h"
#include "net/sandbox/firewall.h"
#include "net/sandbox/netd_sockets.h"
#include "net/sandbox/sandbox_testing.h"
#include "netd/netd_path.h"

/// The real program, in a network of its own: a namespace plays the host, another one, one hop
/// away, the rest of the world.
namespace locald::netd::testing {

using net::AddressAndPort;
using net::testing::address;
using net::testing::connect_in;
using net::testing::listen_in;
using net::testing::subnet;
using net::testing::with_rights;

/// True once `holds` is: asked every 5 ms for 10 s at most.
template <typename Holds>
bool soon(const Holds& holds) {
  for (int i = 0; i < 2000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

/// A server that answers each connection with `word` and what it heard until the client's end.
class Echo {
 public:
  Echo(const UniqueFd& netns, const char* at, std::uint16_t port, std::string word)
      : word_(std::move(word)), listener_(listen_in(netns, address(at), port)) {
    thread_ = std::jthread([this] { serve(); });
  }
  ~Echo() { ::shutdown(listener_.get(), SHUT_RDWR); }

 private:
  void serve() {
    while (true) {
      UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      std::jthread([this, client = std::move(client)] {
        std::string heard = word_;
        std::array<char, 65536> bytes;
        for (ssize_t n = 0; (n = ::recv(client.get(), bytes.data(), bytes.size(), 0)) > 0;)
          heard.append(bytes.data(), static_cast<std::size_t>(n));
        (void)sys::write_all(client.get(), heard);
      }).detach();
    }
  }
  std::string word_;
  UniqueFd listener_;
  std::jthread thread_;
};

/// Says `what` to `to`, ends its side, and hears until the end; "reset" where that is the end.
inline std::string talk(const UniqueFd& from, const char* to, std::uint16_t port,
                        const std::string& what) {
  std::string heard;
  EXPECT_TRUE(net::in_namespace(from.get(), [&]() -> Result<void> {
    const UniqueFd fd(::socket(address(to).family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{5, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const net::SocketAddress where(address(to), port);
    if (::connect(fd.get(), where.get(), where.size()) != 0) {
      heard = "connect " + std::to_string(errno);
      return {};
    }
    // A reset is told once: to the call that reads, or to the one that writes.
    bool reset = false;
    std::thread sender(
        [&] { reset = !sys::write_all(fd.get(), what) || ::shutdown(fd.get(), SHUT_WR) != 0; });
    std::array<char, 65536> bytes;
    ssize_t n = 0;
    while ((n = ::recv(fd.get(), bytes.data(), bytes.size(), 0)) > 0)
      heard.append(bytes.data(), static_cast<std::size_t>(n));
    const int error = n < 0 ? errno : 0;
    sender.join();
    if (reset || error == ECONNRESET)
      heard = "reset";
    else if (error != 0)
      heard = "errno " + std::to_string(error);
    return {};
  }));
  return heard;
}

/// A connection that stays.
inline UniqueFd connected(const UniqueFd& from, const char* to, std::uint16_t port) {
  UniqueFd out;
  EXPECT_TRUE(net::in_namespace(from.get(), [&]() -> Result<void> {
    out = UniqueFd(::socket(address(to).family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{10, 0};
    ::setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const net::SocketAddress where(address(to), port);
    EXPECT_EQ(::connect(out.get(), where.get(), where.size()), 0) << to << " " << errno;
    return {};
  }));
  return out;
}
/// What the other side says until its end.
inline std::string heard(const UniqueFd& socket) {
  std::string out;
  std::array<char, 65536> bytes;
  ssize_t n = 0;
  while ((n = ::recv(socket.get(), bytes.data(), bytes.size(), 0)) > 0)
    out.append(bytes.data(), static_cast<std::size_t>(n));
  return out;
}

/// One that runs, in a folder with its sockets.
class Program {
 public:
  /// @param files  How many descriptors it may have; 0: as many as this process.
  Program(const UniqueFd& host, const UniqueFd& sandbox, rlim_t files = 0) {
    std::string name = "/tmp/netd-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    start(host, sandbox, files);
  }
  ~Program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    (void)remove_tree(folder_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  /// How many descriptors its process with the connections has.
  std::size_t files() const {
    const std::string open = "/proc/" + std::to_string(pid_) + "/fd";
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(open), {}));
  }
  /// It has ended by itself, or does so soon.
  bool ends() {
    const bool out = soon([this] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; });
    if (out) pid_ = -1;
    return out;
  }
  net::NetdClient client(const char* name = "netd.sock") const {
    return net::NetdClient::connect(folder_ + "/" + name).value();
  }
  void outside(const net::OutsidePlan& plan) const {
    const auto done = client("outside.sock").plan(plan.to_text());
    EXPECT_TRUE(done) << done.error().text();
  }

 private:
  UniqueFd control(const char* name) const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    (folder_ + "/" + name).copy(at.sun_path, sizeof at.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    return fd;
  }
  void start(const UniqueFd& host, const UniqueFd& sandbox, rlim_t files) {
    const UniqueFd main = control("netd.sock"), outside = control("outside.sock");
    auto status = sys::pipe().value();
    const auto ran = net::in_namespace(host.get(), [&]() -> Result<void> {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      pid_ = ::fork();
      if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, 0);
        std::array<int, 4> from{main.get(), outside.get(), sandbox.get(), status.second.get()};
        for (int& fd : from) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 100);
        for (int i = 0; i < 4; ++i) ::dup2(from[static_cast<std::size_t>(i)], 3 + i);
        for (int fd = net::kNetdUserNamespace; fd < 100; ++fd) ::close(fd);
        const rlimit limit{files, files};
        if (files > 0) ::setrlimit(RLIMIT_NOFILE, &limit);
        const char* other = std::getenv("LOCALD_NETD");
        ::execl(other != nullptr ? other : netd_path().c_str(), "locald-netd", net::kNetdRunRoot,
                "test", nullptr);
        ::_exit(127);
      }
      return {};
    });
    ASSERT_TRUE(ran);
    status.second.reset();
    std::string said;
    std::array<char, 256> bytes{};
    for (ssize_t n = 0;
         !said.ends_with('\n') && (n = ::read(status.first.get(), bytes.data(), bytes.size())) > 0;)
      said.append(bytes.data(), static_cast<std::size_t>(n));
    status_ = std::move(status.first);
    // The one that was started has forked and ended; the one that stays falls to us.
    ::waitpid(pid_, nullptr, 0);
    const std::string ready = std::string(net::kNetdReady) + " ";
    pid_ = -1;
    ASSERT_TRUE(said.starts_with(ready)) << said;
    pid_ = std::stoi(said.substr(ready.size()));
  }

  std::string folder_;
  pid_t pid_ = -1;
  UniqueFd status_;  // until its first plan it ends with this
};

/// A service in a network with a way out and one in a network without, their sandbox, and the
/// host's and another machine's networks.
struct World {
  UniqueFd host, elsewhere, sandbox, service, closed;
  std::unique_ptr<Program> netd;

  /// @param files  As of Program.
  explicit World(rlim_t files = 0) {
    host =
        net::make_sandbox({{"lan0", {subnet("192.0.2.1/24"), subnet("2001:db8::1/64")}}}).value();
    elsewhere =
        net::make_attached(
            host.get(),
            {{"lan0", "there", "eth0", {subnet("192.0.2.9/24"), subnet("2001:db8::9/64")}, {}}})
            .value();
    const std::vector<net::BridgePolicy> policies{
        {"br0", {subnet("10.90.0.1/24"), subnet("fd90::1/64")}, net::kRelayPort, true},
        {"br1", {subnet("10.90.1.1/24")}, 0}};
    std::vector<net::Bridge> bridges;
    for (const auto& each : policies) bridges.push_back({each.bridge, each.addresses});
    sandbox = net::make_sandbox(bridges).value();
    service = net::make_attached(sandbox.get(), {{"br0",
                                                  "v2",
                                                  "eth0",
                                                  {subnet("10.90.0.2/24"), subnet("fd90::2/64")},
                                                  {address("10.90.0.1"), address("fd90::1")}}})
                  .value();
    closed = net::make_attached(
                 sandbox.get(),
                 {{"br1", "v3", "eth0", {subnet("10.90.1.2/24")}, {address("10.90.1.1")}}})
                 .value();
    const auto written =
        net::in_namespace(sandbox.get(), [&] { return net::write_firewall(policies); });
    EXPECT_TRUE(written) << written.error().text();
    netd = std::make_unique<Program>(host, sandbox, files);
  }

  net::NetdClient client() const { return netd->client(); }
  /// Both networks, handed over.
  static std::vector<net::NetdPlan::Network> networks() {
    return {{0, true, true, {address("10.90.0.1"), address("fd90::1")}},
            {1, true, false, {address("10.90.1.1")}}};
  }
  /// A service in both networks.
  UniqueFd both() const {
    return net::make_attached(sandbox.get(), {{"br0",
                                               "v4",
                                               "eth0",
                                               {subnet("10.90.0.9/24"), subnet("fd90::9/64")},
                                               {address("10.90.0.1"), address("fd90::1")}},
                                              {"br1", "v5", "eth1", {subnet("10.90.1.9/24")}, {}}})
        .value();
  }
  /// The first plan, with both networks: all its sockets are handed over.
  /// @param services  The namespaces of the plan's.
  void plan(net::NetdPlan plan, const std::vector<const UniqueFd*>& services = {}) const {
    std::vector<UniqueFd> handed;
    plan.networks = networks();
    const auto made = net::in_namespace(sandbox.get(), [&]() -> Result<void> {
      handed = TRY(net::make_netd_sockets(plan.networks));
      return {};
    });
    EXPECT_TRUE(made) << made.error().text();
    const auto ports = net::in_namespace(host.get(), [&]() -> Result<void> {
      for (const auto& port : plan.ports)
        handed.push_back(
            TRY(port.udp ? net::bind_udp(port.outside) : net::listen_tcp(port.outside)));
      return {};
    });
    EXPECT_TRUE(ports) << ports.error().text();
    for (const UniqueFd* service_netns : services) {
      auto sockets = net::make_service_sockets(service_netns->get());
      ASSERT_TRUE(sockets) << sockets.error().text();
      for (UniqueFd& each : *sockets) handed.push_back(std::move(each));
    }
    const auto done = client().plan(plan.to_text(), handed);
    EXPECT_TRUE(done) << done.error().text();
  }
};

/// Where the service of World takes connections.
inline const AddressAndPort kWeb{address("10.90.0.2"), 80};

}  // namespace locald::netd::testing
