#include "server/supervise/net_prober.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "base/sys/unique_fd.h"
#include "net/ports.h"
#include "server/supervise/fake_launcher.h"

namespace locald::server {
namespace {

/// One prober on a real port, with looks that the test answers.
class NetProberTest : public testing::Test {
 protected:
  NetProberTest() { listen(); }

  net::HostNetwork network;

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
        loop, network, address, port, "",
        [this](std::uint16_t, std::function<void(Result<net::EndpointLook>)> done) {
          ++looks;
          net::EndpointLook look;
          const auto listeners = net::listeners(port).value();
          for (const net::Listener& l : listeners) look.sockets.insert(l.inode);
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
        [this](const net::Endpoint& e, const std::set<ino_t>&) { found = e; });
  }
  net::Verdict probe() {
    std::optional<net::Verdict> verdict;
    prober->start(project::Milliseconds(1000), [&](const net::Verdict& v) { verdict = v; });
    EXPECT_FALSE(verdict) << "never from within start()";
    run_until(loop, [&] { return verdict.has_value(); });
    return verdict.value_or(net::Verdict(Error(Errc::failed, "no verdict")));
  }

  EventLoop loop;
  const std::uint16_t port = net::free_port().value();
  UniqueFd fd;
  bool own = true;
  int looks = 0;
  std::optional<net::Endpoint> found;
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
    const net::Verdict v = probe();
    EXPECT_EQ(v.kind, net::Verdict::Kind::failed);
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
  const net::Verdict v = probe();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(v.kind, net::Verdict::Kind::unknown) << v.reason;
  EXPECT_TRUE(probe());
}

}  // namespace
}  // namespace locald::server
