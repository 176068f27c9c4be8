#include "netd/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace locald::netd {
namespace {

constexpr int kAcceptAtOnce = 64;  // others have their turn between
constexpr auto kPause = std::chrono::milliseconds(100);

}  // namespace

Acceptor::Acceptor(Poller& poller, UniqueFd listener, std::function<void(UniqueFd)> accepted,
                   std::function<bool()> room)
    : poller_(poller),
      listener_(std::move(listener)),
      accepted_(std::move(accepted)),
      room_(std::move(room)) {
  watch_ = poller.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

void Acceptor::accept() {
  for (int i = 0; i < kAcceptAtOnce; ++i) {
    if (room_ && !room_()) return pause();
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
      return;
    }
    const int on = 1;
    ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    accepted_(std::move(connection));
  }
}

void Acceptor::pause() {
  watch_.want(0);
  pause_ = poller_.after(kPause, [this] { watch_.want(EPOLLIN); });
}

}  // namespace locald::netd
