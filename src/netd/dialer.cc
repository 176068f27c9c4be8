#include "netd/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/packet.h"
#include "net/socket_address.h"
#include "netd/dns.h"

namespace locald::netd {
namespace {

/// More at once are refused: somebody floods.
constexpr std::size_t kMaxPending = 4096;
/// A far side that says nothing at all. The kernel's own limit is two minutes.
constexpr auto kLimit = std::chrono::seconds(60);

net::IpAddress address_of(const DialRequest& request) {
  if (request.v6 != 0) return net::IpAddress::v6(request.address);
  std::uint32_t v4 = 0;
  for (int i = 0; i < 4; ++i) v4 = v4 << 8 | request.address[static_cast<std::size_t>(i)];
  return net::IpAddress::v4(v4);
}

}  // namespace

Dialer::Dialer(Poller& poller, UniqueFd socket, std::function<void()> died)
    : socket_(std::move(socket)), died_(std::move(died)) {
  watch_ = poller.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { receive(); });
}

Dialer::Pending& Dialer::Pending::operator=(Pending&& other) noexcept {
  if (this != &other) {
    reset();
    dialer_ = std::exchange(other.dialer_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Dialer::Pending::reset() {
  Dialer* dialer = std::exchange(dialer_, nullptr);
  if (dialer == nullptr || dialer->waiting_.erase(id_) == 0) return;
  DialRequest request;
  request.id = id_;
  request.kind = DialRequest::Kind::cancel;
  (void)net::send_packet(dialer->socket_.get(), net::as_bytes(request), {});
}

Result<Dialer::Pending> Dialer::connect(const net::IpAddress& address, std::uint16_t port,
                                        Done done, DialRequest::Kind kind) {
  DialRequest request;
  request.kind = kind;
  request.id = next_++;
  request.v6 = address.is_v6() ? 1 : 0;
  request.port = port;
  std::copy(address.bytes().begin(), address.bytes().end(), request.address.begin());
  if (!net::send_packet(socket_.get(), net::as_bytes(request), {}))
    return Error(Errc::unavailable, "too many connections wait to be made");
  waiting_.emplace(request.id, std::move(done));
  Pending out;
  out.dialer_ = this;
  out.id_ = request.id;
  return out;
}

void Dialer::query(const std::string& query, Answered done) {
  DialRequest request;
  request.id = next_++;
  request.kind = DialRequest::Kind::query;
  if (queries_.size() >= kMaxPending ||
      !net::send_packet(socket_.get(), std::string(net::as_bytes(request)) + query, {}))
    return done(server_failure(query));
  queries_.emplace(request.id, std::move(done));
}

void Dialer::receive() {
  while (true) {
    net::Packet packet;
    if (!packet.receive(socket_.get())) return;
    if (packet.ended()) {
      watch_.reset();
      return died_();
    }
    DialReply reply;
    if (!packet.take(reply)) continue;
    if (auto query = queries_.extract(reply.id)) {
      query.mapped()(std::string(packet.rest()));
    } else if (auto wish = waiting_.extract(reply.id)) {
      if (reply.error == 0 && packet.fds().size() == 1)
        wish.mapped()(std::move(packet.fds().front()));
      else  // without the socket: this process had no descriptor left for it
        wish.mapped()(Error::from_errno(reply.error == 0 ? EMFILE : reply.error, "connect"));
    }
    // Else it was let go, and the socket closes here.
  }
}

DialServer::DialServer(Poller& poller, int socket, DialPolicy policy, Resolver* resolver)
    : poller_(poller), socket_(socket), policy_(std::move(policy)), resolver_(resolver) {
  watch_ = poller.watch(socket, EPOLLIN, [this](std::uint32_t) { receive(); });
}

void DialServer::receive() {
  while (true) {
    net::Packet packet;
    if (!packet.receive(socket_)) return;
    if (packet.ended()) return poller_.stop();
    DialRequest request;
    if (!packet.take(request)) continue;
    switch (request.kind) {
      case DialRequest::Kind::cancel:
        attempts_.erase(request.id);
        break;
      case DialRequest::Kind::query:
        ask(request.id, std::string(packet.rest()));
        break;
      case DialRequest::Kind::connect:
      case DialRequest::Kind::datagrams:
        dial(request);
        break;
    }
  }
}

void DialServer::ask(std::uint64_t id, std::string query) {
  const auto done = [this, id](const std::string& reply) {
    DialReply head;
    head.id = id;
    (void)net::send_packet(socket_, std::string(net::as_bytes(head)) + reply, {}, true);
  };
  if (resolver_ == nullptr) return done(server_failure(query));
  resolver_->ask(std::move(query), done);
}

void DialServer::dial(const DialRequest& request) {
  const auto to = policy_(address_of(request), request.port);
  const bool datagrams = request.kind == DialRequest::Kind::datagrams;
  if (!to || attempts_.size() >= kMaxPending || (datagrams && resolver_ != nullptr))
    return answer(request.id, ECONNREFUSED);
  UniqueFd fd(::socket(to->address.family(),
                       (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return answer(request.id, errno);
  const int on = 1;
  if (!datagrams) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const net::SocketAddress at(to->address, to->port);
  int error = ::connect(fd.get(), at.get(), at.size()) == 0 ? 0 : errno;
  // On this machine the other side has answered by now: the second call tells.
  if (error == EINPROGRESS) error = ::connect(fd.get(), at.get(), at.size()) == 0 ? 0 : errno;
  if (error != EALREADY && error != EINPROGRESS) return answer(request.id, error, fd.get());
  const std::uint64_t id = request.id;
  Attempt& attempt = attempts_[id];
  attempt.fd = std::move(fd);
  attempt.watch = poller_.watch(attempt.fd.get(), EPOLLOUT, [this, id](std::uint32_t) {
    auto node = attempts_.extract(id);
    node.mapped().watch.reset();
    int failure = 0;
    socklen_t size = sizeof failure;
    ::getsockopt(node.mapped().fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
    answer(id, failure, node.mapped().fd.get());
  });
  attempt.limit = poller_.after(kLimit, [this, id] {
    attempts_.erase(id);
    answer(id, ETIMEDOUT);
  });
}

void DialServer::answer(std::uint64_t id, int error, int fd) {
  DialReply reply;
  reply.id = id;
  reply.error = error;
  const std::array<int, 1> fds{fd};
  // Waits where netd is behind: then it has enough to do.
  (void)net::send_packet(socket_, net::as_bytes(reply),
                         error == 0 ? std::span<const int>(fds) : std::span<const int>(), true);
}

}  // namespace locald::netd
