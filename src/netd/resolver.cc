#include "netd/resolver.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "netd/dns.h"

namespace locald::netd {
namespace {

constexpr std::size_t kMaxAsked = 2048;  // more at once are answered with SERVFAIL
constexpr auto kPatience = std::chrono::milliseconds(2500);
constexpr std::size_t kRounds = 2;

}  // namespace

void Resolver::ask(std::string query, Done done) {
  if (servers_.empty() || asked_.size() >= kMaxAsked) return done(server_failure(query));
  const std::uint64_t id = next_++;
  Asked& asked = asked_[id];
  asked.query = std::move(query);
  asked.done = std::move(done);
  try_next(id);
}

void Resolver::try_next(std::uint64_t id) {
  Asked& asked = asked_.at(id);
  while (asked.tried < kRounds * servers_.size()) {
    asked.server = asked.tried++ % servers_.size();
    const net::AddressAndPort& server = servers_[asked.server];
    asked.watch.reset();
    // A socket, thus a port, of its own for each query: answers cannot be forged by number alone.
    asked.socket =
        UniqueFd(::socket(server.address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const net::SocketAddress at(server.address, server.port);
    if (!asked.socket || ::connect(asked.socket.get(), at.get(), at.size()) != 0 ||
        ::send(asked.socket.get(), asked.query.data(), asked.query.size(), MSG_NOSIGNAL) < 0)
      continue;
    asked.watch =
        poller_.watch(asked.socket.get(), EPOLLIN, [this, id](std::uint32_t) { heard(id); });
    asked.limit = poller_.after(kPatience, [this, id] { try_next(id); });
    return;
  }
  finish(id, server_failure(asked.query));
}

void Resolver::heard(std::uint64_t id) {
  Asked& asked = asked_.at(id);
  std::array<char, 65536> bytes;
  const ssize_t size = ::recv(asked.socket.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) return try_next(id);  // nobody listens there
  std::string reply(bytes.data(), static_cast<std::size_t>(size));
  if (answers(reply, asked.query)) {
    if (asked.server < servers_.size()) best_ = asked.server;
    return finish(id, std::move(reply));
  }
  // Another server may know, or its true answer comes yet.
  if (reply.size() > 4 && reply.substr(0, 2) == asked.query.substr(0, 2)) try_next(id);
}

void Resolver::finish(std::uint64_t id, std::string reply) {
  auto node = asked_.extract(id);
  node.mapped().watch.reset();
  node.mapped().done(std::move(reply));
}

}  // namespace locald::netd
