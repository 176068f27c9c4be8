#include "netd/forward.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace locald::netd {
namespace {

/// What is read at once goes to the other side before anything else is read: one buffer does for
/// all connections.
alignas(4096) std::array<char, 256 * 1024> buffer;

/// @return how many bytes `fd` took; -1: an error that is not "not now".
ssize_t send_some(int fd, std::string_view bytes) {
  while (true) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n;
    if (errno == EAGAIN) return 0;
  }
}

}  // namespace

Forward::Forward(Poller& poller, UniqueFd one, UniqueFd other, std::string said,
                 std::function<void()> ended)
    : ended_(std::move(ended)) {
  one_.fd = std::move(one);
  other_.fd = std::move(other);
  other_.waiting = std::move(said);
  one_.watch = poller.watch(one_.fd.get(), EPOLLIN,
                            [this](std::uint32_t events) { ready(one_, other_, events); });
  other_.watch = poller.watch(other_.fd.get(), EPOLLIN,
                              [this](std::uint32_t events) { ready(other_, one_, events); });
  want(one_, other_);
  want(other_, one_);
}

void Forward::release_buffer() { ::madvise(buffer.data(), buffer.size(), MADV_DONTNEED); }

void Forward::reset(UniqueFd socket) {
  const linger now{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Forward::ready(Side& side, Side& other, std::uint32_t events) {
  if ((events & EPOLLERR) != 0) return finish(true);
  if ((events & EPOLLOUT) != 0 && !flush(side, other)) return finish(true);
  // A hang-up of both directions is an end to read, too.
  if ((events & (EPOLLIN | EPOLLHUP)) != 0 && !side.ended && other.waiting.empty() &&
      !read(side, other))
    return finish(true);
  if (side.told_ended && other.told_ended) return finish(false);
  want(side, other);
  want(other, side);
}

bool Forward::read(Side& from, Side& to) {
  const ssize_t n = ::recv(from.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    from.ended = true;
    return flush(to, from);
  }
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
  const ssize_t taken = send_some(to.fd.get(), bytes);
  if (taken < 0) return false;
  to.waiting = bytes.substr(static_cast<std::size_t>(taken));
  return true;
}

bool Forward::flush(Side& to, Side& from) {
  if (!to.waiting.empty()) {
    const ssize_t taken = send_some(to.fd.get(), to.waiting);
    if (taken < 0) return false;
    to.waiting.erase(0, static_cast<std::size_t>(taken));
    if (to.waiting.empty()) to.waiting.shrink_to_fit();
  }
  if (to.waiting.empty() && from.ended && !to.told_ended) {
    to.told_ended = true;
    ::shutdown(to.fd.get(), SHUT_WR);
  }
  return true;
}

void Forward::want(Side& side, const Side& other) {
  // Both its directions are over: its hang-up would be told again and again.
  if (side.ended && side.told_ended) return side.watch.reset();
  std::uint32_t events = 0;
  if (!side.ended && other.waiting.empty()) events |= EPOLLIN;
  if (!side.waiting.empty()) events |= EPOLLOUT;
  side.watch.want(events);
}

void Forward::finish(bool reset) {
  one_.watch.reset();
  other_.watch.reset();
  if (reset) {
    Forward::reset(std::move(one_.fd));
    Forward::reset(std::move(other_.fd));
  }
  const auto ended = std::move(ended_);
  ended();
}

}  // namespace locald::netd
