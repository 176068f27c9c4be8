#include "server/listeners.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>

#include "base/unique_fd.h"
#include "server/ports.h"
#include "server/probe.h"

namespace locald::server {
namespace {

using namespace std::chrono_literals;

struct Listening {
  UniqueFd fd;
  std::uint16_t port = 0;
};

/// Listens on `address` (0: a port of the kernel's choice).
Listening listen_on(const std::string& address, std::uint16_t port = 0, bool reuse = false,
                    bool v6only = false) {
  sockaddr_storage sa{};
  socklen_t size = sizeof(sockaddr_in);
  auto* four = reinterpret_cast<sockaddr_in*>(&sa);
  auto* six = reinterpret_cast<sockaddr_in6*>(&sa);
  if (::inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    sa.ss_family = AF_INET;
    four->sin_port = htons(port);
  } else {
    EXPECT_EQ(::inet_pton(AF_INET6, address.c_str(), &six->sin6_addr), 1) << address;
    sa.ss_family = AF_INET6;
    six->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  }
  Listening out;
  out.fd.reset(::socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (reuse) ::setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (v6only) ::setsockopt(out.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  EXPECT_EQ(::bind(out.fd.get(), reinterpret_cast<sockaddr*>(&sa), size), 0) << address;
  EXPECT_EQ(::listen(out.fd.get(), 4), 0);
  size = sizeof sa;
  ::getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&sa), &size);
  out.port = ntohs(four->sin_port);  // at the same place in both
  return out;
}

bool has_ipv6() {
  const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 sa{};
  sa.sin6_family = AF_INET6;
  sa.sin6_addr = in6addr_loopback;
  return fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&sa), sizeof sa) == 0;
}

/// A connection to it that the listener's side has closed first: TIME_WAIT is there.
void connect_and_close(const Listening& server) {
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in sa{};
  sa.sin_family = AF_INET;
  sa.sin_port = htons(server.port);
  sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&sa), sizeof sa), 0);
  { const UniqueFd accepted(::accept(server.fd.get(), nullptr, nullptr)); }
  char c;
  EXPECT_EQ(::read(client.get(), &c, 1), 0);
}

/// A process that runs `begin` (false: it cannot) and waits; killed at the end.
class Process {
 public:
  explicit Process(const std::function<bool()>& begin) {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const char good = begin() ? 'y' : 'n';
      (void)!::write(pipe[1], &good, 1);
      ::pause();
      ::_exit(0);
    }
    char answer = 'n';
    EXPECT_EQ(::read(pipe[0], &answer, 1), 1);
    ::close(pipe[0]);
    ::close(pipe[1]);
    began_ = answer == 'y';
  }
  ~Process() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  pid_t pid() const { return pid_; }
  bool began() const { return began_; }

 private:
  pid_t pid_ = 0;
  bool began_ = false;
};

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
  EXPECT_NE(holder->command.find("server_test"), std::string::npos);
  const auto below = listeners_below({::getpid()}, *port).value();
  ASSERT_EQ(below[0].listeners.size(), 1u);
  EXPECT_EQ(below[0].listeners[0].address, "127.0.0.1");
  EXPECT_TRUE(below[0].listeners[0].loopback);
  EXPECT_TRUE(below[0].unreadable.empty());
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
  if (!has_ipv6()) GTEST_SKIP() << "the rest needs IPv6";
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

TEST(Listeners, OfAChildThatInheritedThemAreFoundBelow) {
  const Listening listening = listen_on("127.0.0.1");
  const Process child([] { return true; });
  const auto trees = listeners_below({child.pid(), ::getpid()}, listening.port).value();
  ASSERT_EQ(trees[0].listeners.size(), 1u);
  EXPECT_EQ(trees[1].listeners, trees[0].listeners) << "one socket, however many have it";
}

TEST(Listeners, OfAnotherNetworkNamespaceAreFoundInTheirs) {
  const Process child([] {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
      return false;
    const Listening l = listen_on("0.0.0.0", 8080);
    return ::dup(l.fd.get()) >= 0;
  });
  if (!child.began()) GTEST_SKIP() << "needs a network namespace of its own";
  const auto trees = listeners_below({child.pid()}, 8080).value();
  ASSERT_EQ(trees[0].listeners.size(), 1u);
  EXPECT_EQ(trees[0].listeners[0].address, "0.0.0.0");
  EXPECT_NE(trees[0].listeners[0].netns, 0u);
}

TEST(Listeners, OfAnotherUserAreAskedOfTheWorker) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  const Listening listening = listen_on("0.0.0.0");
  const pid_t holder = ::getpid();
  // As a user who may not look into our descriptors.
  const Process other([&] {
    ::close(listening.fd.get());  // it is below `holder` too
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
      return false;
    const auto alone = ListenerSearch().below({holder}, listening.port);
    if (!alone || !(*alone)[0].listeners.empty() || !(*alone)[0].unreadable.contains(0))
      return false;
    Json asked;
    const ListenerSearch search([&](const Json& job) -> Result<Json> {
      asked = job;
      return Json::object(
          {{"trees",
            Json::array({Json::object(
                {{"listeners", Json::array({listeners(listening.port).value()[0].to_json()})},
                 {"unreadable", Json::array()}})})}});
    });
    const auto found = search.below({holder}, listening.port);
    return found && (*found)[0].listeners.size() == 1 && (*found)[0].unreadable.empty() &&
           asked["op"].as_string() == "listeners" && asked["roots"].as_array().size() == 1 &&
           (*found)[0].listeners[0].address == "0.0.0.0";
  });
  EXPECT_TRUE(other.began());
  const Json job = Json::object({{"roots", Json::array({holder})}, {"port", listening.port}});
  const auto answer = listeners_job(job).value();
  EXPECT_EQ(Listener::from_json(answer["trees"].as_array()[0]["listeners"].as_array()[0]),
            listeners(listening.port).value()[0]);
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
}  // namespace locald::server
