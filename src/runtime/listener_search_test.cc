#include "runtime/listener_search.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "net/listen_testing.h"

namespace locald::runtime {
namespace {

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

TEST(ListenerSearch, FindsWhatThisProcessHolds) {
  const net::Listening listening = net::listen_on("127.0.0.1");
  const auto below = listeners_below({::getpid()}, listening.port).value();
  ASSERT_EQ(below[0].listeners.size(), 1u);
  EXPECT_EQ(below[0].listeners[0].address, "127.0.0.1");
  EXPECT_TRUE(below[0].listeners[0].loopback);
  EXPECT_TRUE(below[0].unreadable.empty());
}

TEST(ListenerSearch, OfAChildThatInheritedThemAreFoundBelow) {
  const net::Listening listening = net::listen_on("127.0.0.1");
  const Process child([] { return true; });
  const auto trees = listeners_below({child.pid(), ::getpid()}, listening.port).value();
  ASSERT_EQ(trees[0].listeners.size(), 1u);
  EXPECT_EQ(trees[1].listeners, trees[0].listeners) << "one socket, however many have it";
}

TEST(ListenerSearch, OfAnotherNetworkNamespaceAreFoundInTheirs) {
  const Process child([] {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
      return false;
    const net::Listening l = net::listen_on("0.0.0.0", 8080);
    return ::dup(l.fd.get()) >= 0;
  });
  if (!child.began()) GTEST_SKIP() << "needs a network namespace of its own";
  const auto trees = listeners_below({child.pid()}, 8080).value();
  ASSERT_EQ(trees[0].listeners.size(), 1u);
  EXPECT_EQ(trees[0].listeners[0].address, "0.0.0.0");
  EXPECT_NE(trees[0].listeners[0].netns, 0u);
}

TEST(ListenerSearch, OfAnotherUserAreAskedOfTheWorker) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  const net::Listening listening = net::listen_on("0.0.0.0");
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
                {{"listeners", Json::array({encode(net::listeners(listening.port).value()[0])})},
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
  EXPECT_EQ(decode<ListenersResult>(answer)->trees[0].listeners[0],
            net::listeners(listening.port).value()[0]);
}

}  // namespace
}  // namespace locald::runtime
