#include "net/endpoint.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "base/sys/unique_fd.h"
#include "server/supervise/fake_launcher.h"
#include "server/supervise/net_prober.h"
#include "net/ports.h"

namespace locald::net {
namespace {

Listener at(const std::string& address, ino_t inode, bool dual = false, uid_t uid = 1000) {
  Listener l;
  l.address = address;
  l.port = 80;
  l.inode = inode;
  l.dual = dual;
  l.uid = uid;
  return l;
}

/// The host that a service is reached at, whose listeners have the inodes from 100 on; "" for none.
std::string host(const std::vector<Listener>& all, std::set<uid_t> unreadable = {}) {
  TreeListeners own;
  own.unreadable = std::move(unreadable);
  for (const Listener& l : all)
    if (l.inode >= 100) own.listeners.push_back(l);
  const EndpointLook look = choose_endpoint(80, all, own);
  EXPECT_EQ(look.sockets.size(), all.size());
  return look.endpoint ? look.endpoint->host : "";
}

TEST(Endpoint, WritesAnIPv6AddressInBrackets) {
  Endpoint e;
  e.port = 8080;
  EXPECT_EQ(e.url(), "http://127.0.0.1:8080");
  e.host = "::1";
  EXPECT_EQ(e.url(), "http://[::1]:8080");
}

TEST(Endpoint, IsTheFamilyThatTheServiceListensOn) {
  EXPECT_EQ(host({}), "");
  EXPECT_EQ(host({at("127.0.0.1", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("0.0.0.0", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("::1", 100)}), "::1");
  EXPECT_EQ(host({at("::", 100, /*dual=*/true)}), "127.0.0.1");
  EXPECT_EQ(host({at("::", 100, /*dual=*/false)}), "::1");
  EXPECT_EQ(host({at("::1", 100), at("127.0.0.1", 101)}), "127.0.0.1");
  EXPECT_EQ(host({at("192.0.2.7", 100)}), "192.0.2.7");
  EXPECT_EQ(host({at("::ffff:127.0.0.1", 100)}), "127.0.0.1");
}

TEST(Endpoint, IsNeverWhereSomebodyElseAnswers) {
  EXPECT_EQ(host({at("::1", 1)}), "");
  EXPECT_EQ(host({at("::1", 1), at("127.0.0.1", 100)}), "127.0.0.1");
  EXPECT_EQ(host({at("127.0.0.1", 1), at("::1", 100)}), "::1");
  // The exact address comes before all addresses, whoever was first.
  EXPECT_EQ(host({at("127.0.0.1", 1), at("0.0.0.0", 100)}), "");
  EXPECT_EQ(host({at("127.0.0.1", 1), at("::", 100, true)}), "::1");
  // SO_REUSEPORT: the kernel gives a connection to either.
  EXPECT_EQ(host({at("127.0.0.1", 100), at("127.0.0.1", 1)}), "");
  EXPECT_EQ(host({at("127.0.0.1", 100), at("127.0.0.1", 101)}), "127.0.0.1");
  // A user of an own process that may not be looked into.
  EXPECT_EQ(host({at("127.0.0.1", 1, false, 0)}, {0}), "127.0.0.1");
  EXPECT_EQ(host({at("127.0.0.1", 1, false, 1001)}, {0}), "");
}

/// One prober on a real port, with looks that the test answers.
class NetProberTest : public testing::Test {
 protected:
  NetProberTest() { listen(); }

  void listen() {
    fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in sa{};
    sa.sin_family = AF_INET;
    sa.sin_port = htons(port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&sa), sizeof sa), 0);
    ASSERT_EQ(::listen(fd.get(), 8), 0);
  }
  void make(const std::string& address = "localhost") {
    prober = make_net_prober(
        loop, address, port, "",
        [this](std::uint16_t, std::function<void(Result<EndpointLook>)> done) {
          ++looks;
          EndpointLook look;
          for (const Listener& l : listeners(port).value()) look.sockets.insert(l.inode);
          if (own) {
            look.endpoint.emplace();
            look.endpoint->port = port;
          } else {
            look.strangers = look.sockets;
            look.whose = "pid 7 (x), user y";
          }
          loop.post([done = std::move(done), look] { done(look); });
          return JobPool::Job();
        },
        [this](const Endpoint& e) { found = e; });
  }
  Verdict probe() {
    std::optional<Verdict> verdict;
    prober->start(Milliseconds(1000), [&](const Verdict& v) { verdict = v; });
    EXPECT_FALSE(verdict) << "never from within start()";
    run_until(loop, [&] { return verdict.has_value(); });
    return verdict.value_or(Verdict(Error(Errc::failed, "no verdict")));
  }

  EventLoop loop;
  const std::uint16_t port = free_port().value();
  UniqueFd fd;
  bool own = true;
  int looks = 0;
  std::optional<Endpoint> found;
  std::unique_ptr<Prober> prober;
};

TEST_F(NetProberTest, LooksOnceForTheSameSockets) {
  make();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(probe()) << "probe " << i;
  EXPECT_EQ(looks, 1);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->port, port);
  fd.reset();
  EXPECT_NE(probe().reason.find("nothing listens on port"), std::string::npos);
  listen();
  EXPECT_TRUE(probe());
  EXPECT_EQ(looks, 2) << "it is another socket";
}

TEST_F(NetProberTest, AStrangerIsNamedAndMakesNobodyHealthy) {
  own = false;
  make();
  for (int i = 0; i < 3; ++i) {
    const Verdict v = probe();
    EXPECT_EQ(v.kind, Verdict::Kind::failed);
    EXPECT_NE(v.reason.find("belongs to pid 7 (x), user y, not to this service"), std::string::npos)
        << v.reason;
  }
  EXPECT_EQ(looks, 1) << "not at each probe";
  EXPECT_FALSE(found);
}

TEST_F(NetProberTest, AnAddressThatWasWrittenIsTakenAsItIs) {
  own = false;
  make("127.0.0.1");
  EXPECT_TRUE(probe());
  EXPECT_EQ(looks, 0);
}

TEST_F(NetProberTest, WithoutADescriptorToAskWithItIsUnknown) {
  make();
  ASSERT_TRUE(probe());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // As many as are open now, and not one more.
  const int next = ::dup(0);
  ::close(next);
  rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Verdict v = probe();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(v.kind, Verdict::Kind::unknown) << v.reason;
  EXPECT_TRUE(probe());
}

}  // namespace
}  // namespace locald::net
