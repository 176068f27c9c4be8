#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "base/sys/standard_fds.h"
#include "net/listeners.h"
#include "net/netd_start.h"
#include "netd/confine.h"
#include "netd/control.h"
#include "netd/memory.h"
#include "netd/netd.h"
#include "netd/outside.h"

namespace locald::netd {
namespace {

/// Tells the server why nothing has become of it, and ends.
[[noreturn]] void give_up(const Error& error) {
  const std::string text = error.message();
  (void)!::write(net::kNetdStatus, text.data(), text.size());
  std::_Exit(1);
}

/// Of a process that was just forked: ends with its parent, and keeps no descriptor but these.
void settle(std::initializer_list<int> keep) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int fd = 0; fd < net::kNetdFds + 8; ++fd)
    if (std::find(keep.begin(), keep.end(), fd) == keep.end()) ::close(fd);
}

/// Says that it is confined, by one byte; until then its parent is not ready either.
void serve_confined(Role role, int socket, Poller& poller) {
  if (auto done = confine(role); !done) {
    std::fprintf(stderr, "locald-netd: %s\n", done.error().message().c_str());
    std::_Exit(1);
  }
  (void)!::send(socket, "", 1, MSG_NOSIGNAL);
  poller.when_quiet(give_back_memory);
  poller.run();
}

void wait_until_confined(const UniqueFd& dialer) {
  char byte = 0;
  ssize_t size = 0;
  while ((size = ::recv(dialer.get(), &byte, 1, 0)) < 0 && errno == EINTR) {
  }
  if (size != 1) give_up(Error(Errc::failed, "a process that connects could not be confined"));
}

[[noreturn]] void run_inside(int socket) {
  settle({STDERR_FILENO, socket});
  Poller poller;
  const DialServer server(
      poller, socket,
      [](const net::IpAddress& address, std::uint16_t port) {
        return Destination{address, port};
      },
      nullptr);
  serve_confined(Role::inside, socket, poller);
  std::_Exit(0);
}

[[noreturn]] void run_outside(int socket) {
  settle({STDERR_FILENO, socket, net::kNetdOutsideControl});
  Poller poller;
  Resolver resolver(poller);
  OutsidePolicy policy(resolver);
  const DialServer server(
      poller, socket,
      [&](const net::IpAddress& address, std::uint16_t port) {
        return policy.destination({address, port});
      },
      &resolver);
  const Control control(
      poller, UniqueFd(net::kNetdOutsideControl),
      [&](Control::Request request, const Control::Reply& reply) {
        if (request.verb == "version")
          return reply(Control::Answer{std::to_string(net::kNetdVersion), {}, {}});
        if (request.verb != "plan" || request.fds.size() != 1)
          return reply(Error(Errc::invalid_input, "invalid request: " + request.verb));
        auto text = text_of(request.fds.front());
        if (!text) return reply(std::move(text).error());
        auto plan = net::OutsidePlan::parse(*text);
        if (!plan) return reply(std::move(plan).error());
        resolver.use(plan->resolvers);
        policy.use(std::move(plan).value());
        reply(Control::Answer{});
      });
  // Makes its first connection now: the kernel may load what answers (sock_diag).
  (void)net::quick_listeners(1);
  serve_confined(Role::outside, socket, poller);
  std::_Exit(0);
}

/// Its pid; `run` gets the other end of `own`.
template <typename Run>
pid_t fork_dialer(UniqueFd& own, const Run& run) {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    give_up(Error::from_errno(errno, "make a pair of sockets"));
  const pid_t pid = ::fork();
  if (pid < 0) give_up(Error::from_errno(errno, "fork"));
  if (pid == 0) run(pair[1]);
  ::close(pair[1]);
  own = UniqueFd(pair[0]);
  return pid;
}

void enter_sandbox(bool userns) {
  if (userns && ::setns(net::kNetdUserNamespace, CLONE_NEWUSER) != 0)
    give_up(Error::from_errno(errno, "join the user namespace"));
  if (userns) ::close(net::kNetdUserNamespace);
  if (::setns(net::kNetdSandbox, CLONE_NEWNET) != 0)
    give_up(Error::from_errno(errno, "join the sandbox"));
}

constexpr std::chrono::milliseconds kPlanWithin{10'000};

/// What the process that holds connections is asked.
class Requests {
 public:
  Requests(Poller& poller, Dialer& inside, Dialer& outside, Netd::Limits limits)
      : poller_(poller),
        inside_(inside),
        netd_(poller, inside, outside, limits, [&poller] { poller.stop(); }) {
    // A server that is killed before it has noted who this is leaves a process that nobody knows:
    // its end of the pipe tells of it.
    unknown_ = poller.after(kPlanWithin, [&poller] { poller.stop(); });
    server_ = poller.watch(status_.get(), 0, [&poller](std::uint32_t) { poller.stop(); });
  }

  void answer(Control::Request request, const Control::Reply& reply) {
    const std::string& verb = request.verb;
    const auto& words = request.words;
    if (verb == "version") return reply(Control::Answer{std::to_string(net::kNetdVersion), {}, {}});
    if (verb == "dial") return dial(request, reply);
    if (verb == "plan" && !request.fds.empty()) return plan(std::move(request), reply);
    if (verb == "sandbox") return reply(Control::Answer{{}, {}, {sandbox_.get()}});
    if (verb == "namespace" && words.size() == 1) {
      const int netns = netd_.service_namespace(words[0]);
      if (netns < 0) return reply(Error(Errc::not_found, "no service " + words[0]));
      return reply(Control::Answer{{}, {}, {netns}});
    }
    if (const auto from = words.size() == 1 ? parse_u64(words[0]) : std::nullopt;
        verb == "hand-over" && from) {
      auto share = netd_.share(*from);
      if (!share) return reply(std::move(share).error());
      std::string lines = std::to_string(share->next) + "\n" + share->plan.to_text();
      return reply(Control::Answer{std::move(lines), {}, std::move(share->fds)});
    }
    if (verb == "retire" || verb == "end") {
      if (verb == "end")
        poller_.stop();
      else
        netd_.retire();
      return reply(Control::Answer{});
    }
    reply(Error(Errc::invalid_input, "invalid request: " + verb));
  }

 private:
  void plan(Control::Request request, const Control::Reply& reply) {
    auto text = text_of(request.fds.front());
    if (!text) return reply(std::move(text).error());
    auto plan = net::NetdPlan::parse(*text);
    if (!plan) return reply(std::move(plan).error());
    request.fds.erase(request.fds.begin());
    auto done = netd_.apply(std::move(plan).value(), std::move(request.fds));
    if (!done) return reply(std::move(done).error());
    unknown_.reset();
    server_.reset();
    status_.reset();
    reply(Control::Answer{});
  }
  void dial(const Control::Request& request, const Control::Reply& reply) {
    // The wish is kept until it has its answer.
    struct Wish {
      Dialer::Pending pending;
    };
    const auto address = request.words.empty() ? Result<net::IpAddress>(net::IpAddress())
                                               : net::IpAddress::parse(request.words[0]);
    const auto port = request.words.size() == 2 ? parse_u64(request.words[1]) : std::nullopt;
    if (!address || !port || *port > 0xFFFF)
      return reply(Error(Errc::invalid_input, "invalid request: dial"));
    auto wish = std::make_shared<Wish>();
    auto pending = inside_.connect(
        *address, static_cast<std::uint16_t>(*port), [wish, reply](Result<UniqueFd> socket) {
          if (!socket)
            return reply(Error(Errc::failed, std::to_string(socket.error().sys_errno())));
          Control::Answer answer;
          answer.fds.push_back(std::move(socket).value());
          reply(std::move(answer));
        });
    if (!pending) return reply(std::move(pending).error());
    wish->pending = std::move(pending).value();
  }

  Poller& poller_;
  Dialer& inside_;
  const UniqueFd sandbox_{net::kNetdSandbox};
  Netd netd_;
  // Until the first plan.
  UniqueFd status_{net::kNetdStatus};
  Poller::Watch server_;
  Poller::Timer unknown_;
};

[[noreturn]] void run(bool userns) {
  // The one that stays is nobody's child: it outlives the server.
  const pid_t pid = ::fork();
  if (pid < 0) give_up(Error::from_errno(errno, "fork"));
  if (pid > 0) std::_Exit(0);
  ::setsid();
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  UniqueFd outside_end, inside_end;
  fork_dialer(outside_end, run_outside);
  ::close(net::kNetdOutsideControl);
  enter_sandbox(userns);
  fork_dialer(inside_end, run_inside);

  wait_until_confined(outside_end);
  wait_until_confined(inside_end);
  Poller poller;
  const auto died = [] { std::_Exit(1); };  // the server starts all of it again
  Dialer outside(poller, std::move(outside_end), died), inside(poller, std::move(inside_end), died);
  Requests requests(poller, inside, outside, Netd::Limits::of(files.rlim_cur));
  const Control control(poller, UniqueFd(net::kNetdControl),
                        [&](Control::Request request, const Control::Reply& reply) {
                          requests.answer(std::move(request), reply);
                        });
  const std::string ready = std::string(net::kNetdReady) + " " + std::to_string(::getpid()) + "\n";
  if (auto done = confine(Role::connections); !done) give_up(done.error());
  // Where nobody reads it, nobody waits for this process any more.
  if (::write(net::kNetdStatus, ready.data(), ready.size()) < 0) std::_Exit(1);
  poller.when_quiet([] {
    Forward::release_buffer();
    give_back_memory();
  });
  poller.run();
  std::_Exit(0);  // as the others: all that it has is the kernel's
}

}  // namespace
}  // namespace locald::netd

int main(int argc, char** argv) {
  locald::fill_standard_fds();
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode != locald::net::kNetdRun && mode != locald::net::kNetdRunRoot) {
    std::fputs("locald-netd: the server starts it, people do not\n", stderr);
    return 2;
  }
  locald::netd::run(mode == locald::net::kNetdRun);
}
