#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <thread>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "net/listeners.h"
#include "net/netd_client.h"
#include "net/netd_plan.h"
#include "net/netd_start.h"
#include "net/sandbox/firewall.h"
#include "net/sandbox/netd_sockets.h"
#include "net/sandbox/sandbox_testing.h"
#include "netd/netd_path.h"

/// The real program, in a network of its own: a namespace plays the host, another one, one hop
/// away, the rest of the world.
namespace locald::netd {
namespace {

using net::AddressAndPort;
using net::testing::address;
using net::testing::connect_in;
using net::testing::listen_in;
using net::testing::subnet;
using net::testing::with_rights;

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
std::string talk(const UniqueFd& from, const char* to, std::uint16_t port,
                 const std::string& what) {
  std::string heard;
  EXPECT_TRUE(net::in_namespace(from.get(), [&]() -> Result<void> {
    const UniqueFd fd(::socket(address(to).family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{5, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
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

struct World {
  UniqueFd host, elsewhere, sandbox, service, closed;
  std::string folder;
  pid_t pid = -1;

  World() {
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
    std::string name = "/tmp/netd-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    start();
  }
  ~World() {
    if (pid > 0) ::kill(pid, SIGKILL), ::waitpid(pid, nullptr, 0);
    (void)remove_tree(folder);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  UniqueFd control(const char* name) const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    (folder + "/" + name).copy(at.sun_path, sizeof at.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    return fd;
  }
  void start() {
    const UniqueFd main = control("netd.sock"), outside = control("outside.sock");
    auto status = sys::pipe().value();
    const auto ran = net::in_namespace(host.get(), [&]() -> Result<void> {
      pid = ::fork();
      if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, 0);
        std::array<int, 4> from{main.get(), outside.get(), sandbox.get(), status.second.get()};
        for (int& fd : from) fd = ::fcntl(fd, F_DUPFD, 100);
        for (int i = 0; i < 4; ++i) ::dup2(from[static_cast<std::size_t>(i)], 3 + i);
        for (int fd = net::kNetdUserNamespace; fd < 200; ++fd) ::close(fd);
        ::execl(netd_path().c_str(), "locald-netd", net::kNetdRunRoot, "test", nullptr);
        ::_exit(127);
      }
      return {};
    });
    ASSERT_TRUE(ran);
    status.second.reset();
    std::string said;
    std::array<char, 256> bytes{};
    for (ssize_t n = 0; (n = ::read(status.first.get(), bytes.data(), bytes.size())) > 0;)
      said.append(bytes.data(), static_cast<std::size_t>(n));
    ASSERT_EQ(said, net::kNetdReady);
  }
  net::NetdClient client(const char* name = "netd.sock") const {
    return net::NetdClient::connect(folder + "/" + name).value();
  }
  /// The whole plan: `first` hands its sockets over.
  void plan(net::NetdPlan plan) const {
    std::vector<UniqueFd> handed;
    const auto made = net::in_namespace(sandbox.get(), [&]() -> Result<void> {
      handed =
          TRY(net::make_netd_sockets({{0, true, true, {address("10.90.0.1"), address("fd90::1")}},
                                      {1, true, false, {address("10.90.1.1")}}}));
      return {};
    });
    EXPECT_TRUE(made) << made.error().text();
    plan.networks = {{0, true, true, {address("10.90.0.1"), address("fd90::1")}},
                     {1, true, false, {address("10.90.1.1")}}};
    const auto ports = net::in_namespace(host.get(), [&]() -> Result<void> {
      for (const auto& port : plan.ports) handed.push_back(TRY(net::listen_tcp(port.outside)));
      return {};
    });
    EXPECT_TRUE(ports) << ports.error().text();
    const auto done = client().plan(plan.to_text(), handed);
    EXPECT_TRUE(done) << done.error().text();
  }
  void outside(const net::OutsidePlan& plan) const {
    const auto done = client("outside.sock").plan(plan.to_text());
    EXPECT_TRUE(done) << done.error().text();
  }
};

const AddressAndPort kWeb{address("10.90.0.2"), 80};

TEST(Netd, APublishedPortLeadsToItsService) {
  with_rights([] {
    const World w;
    const Echo server(w.service, "0.0.0.0", 80, "web ");
    w.plan({{},
            {},
            {{{address("127.0.0.1"), 8080}, true, kWeb},
             {{address("::1"), 8080}, true, kWeb},
             {{address("127.0.0.1"), 8081}, true, std::nullopt},
             {{address("127.0.0.1"), 8082}, true, AddressAndPort{address("10.90.0.2"), 81}}}});
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "hello"), "web hello");
    EXPECT_EQ(talk(w.host, "::1", 8080, "hello"), "web hello");
    std::string much(8 << 20, 'x');
    for (std::size_t i = 0; i < much.size(); i += 1000) much[i] = static_cast<char>('a' + i % 23);
    EXPECT_TRUE(talk(w.host, "127.0.0.1", 8080, much) == "web " + much);
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8081, "x"), "reset") << "its service is not up";
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8082, "x"), "reset") << "nobody listens there";

    net::NetdPlan later;
    later.networks = {{0, false, true, {}}, {1, false, false, {}}};
    later.ports = {{{address("127.0.0.1"), 8081}, false, kWeb}};
    ASSERT_TRUE(w.client().plan(later.to_text()));
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8081, "now"), "web now");
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "connect 111") << "closed";
  });
}

TEST(Netd, TheOutsideIsReachedAndTheHostIsNot) {
  with_rights([] {
    const World w;
    w.plan({});
    w.outside({{}, {subnet("10.90.0.0/24"), subnet("fd90::/64")}, {}});
    const Echo there(w.elsewhere, "192.0.2.9", 80, "there "),
        there6(w.elsewhere, "2001:db8::9", 80, "there ");
    const Echo loopback(w.host, "127.0.0.1", 80, "host "), all(w.host, "0.0.0.0", 81, "host ");
    const Echo all6(w.host, "::", 82, "host ");
    EXPECT_EQ(talk(w.service, "192.0.2.9", 80, "hello"), "there hello");
    EXPECT_EQ(talk(w.service, "2001:db8::9", 80, "hello"), "there hello");
    for (const char* own : {"192.0.2.1", "192.0.2.0", "192.0.2.255", "2001:db8::1"})
      for (const std::uint16_t port : {80, 81, 82})
        EXPECT_EQ(talk(w.service, own, port, "x"), "reset") << own << " " << port;
    EXPECT_NE(talk(w.service, "127.0.0.1", 80, "x").substr(0, 5), "host ");
    EXPECT_EQ(talk(w.service, "192.0.2.9", 9, "x"), "reset") << "nobody listens there";
    EXPECT_EQ(talk(w.closed, "192.0.2.9", 80, "x"), "connect 111") << "an internal network";
  });
}

TEST(Netd, APortOfTheHostIsReachedWhileItsOwnerListens) {
  with_rights([] {
    const World w;
    w.plan({});
    const Echo own(w.host, "127.0.0.1", 3000, "own "), other(w.host, "127.0.0.1", 3001, "other ");
    const AddressAndPort first{address("10.90.255.1"), 3000}, second{address("10.90.255.2"), 3001};
    ino_t inode = 0;
    ASSERT_TRUE(net::in_namespace(w.host.get(), [&]() -> Result<void> {
      for (const auto& each : TRY(net::quick_listeners(3000))) inode = each.inode;
      return {};
    }));
    w.outside({{},
               {},
               {{first, {address("127.0.0.1"), 3000}, {inode}},
                {second, {address("127.0.0.1"), 3001}, {inode}}}});
    EXPECT_EQ(talk(w.service, "10.90.255.1", 3000, "hello"), "own hello");
    EXPECT_EQ(talk(w.service, "10.90.255.1", 3001, "x"), "reset") << "another port";
    EXPECT_EQ(talk(w.service, "10.90.255.2", 3001, "x"), "reset") << "a stranger listens there";
  });
}

TEST(Netd, AProbeIsConnectedInside) {
  with_rights([] {
    const World w;
    const Echo server(w.service, "0.0.0.0", 80, "web ");
    auto socket = w.client().dial(kWeb);
    ASSERT_TRUE(socket) << socket.error().text();
    const auto refused = w.client().dial({address("10.90.0.2"), 81});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().sys_errno(), ECONNREFUSED);
    EXPECT_EQ(w.client().version().value(), net::kNetdVersion);
  });
}

TEST(Netd, ABadPlanChangesNothing) {
  with_rights([] {
    const World w;
    w.plan({{}, {}, {{{address("127.0.0.1"), 8080}, true, std::nullopt}}});
    for (const char* bad :
         {"nonsense", "port 127.0.0.1 8080 handed reset", "network 0 handed relays",
          "name 7 db 10.0.0.1", "port 127.0.0.1 9 kept reset"})
      EXPECT_FALSE(w.client().plan(bad)) << bad;
    EXPECT_EQ(talk(w.host, "127.0.0.1", 8080, "x"), "reset") << "it is there yet";
  });
}

TEST(Netd, ItsProcessesMayDoNothingElse) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's runtime makes calls of its own: nothing is filtered";
#endif
  with_rights([] {
    const World w;
    std::vector<std::string> pids{std::to_string(w.pid)};
    const auto children = read_file("/proc/" + pids[0] + "/task/" + pids[0] + "/children");
    ASSERT_TRUE(children);
    for (std::size_t at = 0; at < children->size();) {
      const auto space = children->find(' ', at);
      pids.push_back(children->substr(at, space - at));
      at = space == std::string::npos ? children->size() : space + 1;
    }
    ASSERT_EQ(pids.size(), 3U);
    for (const std::string& pid : pids) {
      const auto status = read_file("/proc/" + pid + "/status");
      ASSERT_TRUE(status);
      for (const char* line : {"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                               "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"})
        EXPECT_NE(status->find(line), std::string::npos) << line << "\n" << *status;
    }
  });
}

}  // namespace
}  // namespace locald::netd
