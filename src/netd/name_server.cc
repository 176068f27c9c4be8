#include "netd/name_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

namespace locald::netd {
namespace {

constexpr int kPacketsAtOnce = 64;  // others have their turn between
constexpr std::size_t kMaxClients = 256;
constexpr auto kIdle = std::chrono::seconds(10);

}  // namespace

NameServer::NameServer(Poller& poller, Sockets sockets, Dialer& outside, Connections& connections)
    : poller_(poller), outside_(outside), connections_(connections), udp_(std::move(sockets.udp)) {
  for (const UniqueFd& socket : udp_)
    watches_.push_back(poller.watch(socket.get(), EPOLLIN,
                                    [this, fd = socket.get()](std::uint32_t) { receive(fd); }));
  for (UniqueFd& socket : sockets.tcp)
    tcp_.emplace_back(poller, std::move(socket),
                      [this](UniqueFd connection) { accept(std::move(connection)); });
}

void NameServer::receive(int socket) {
  static std::array<char, 4096> bytes;
  for (int i = 0; i < kPacketsAtOnce; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t size = ::recvfrom(socket, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0) return;
    const std::string query(bytes.data(), static_cast<std::size_t>(size));
    const auto reply = [socket, from, length](const std::string& text) {
      ::sendto(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&from), length);
    };
    const DnsVerdict verdict = decide(query, names_, turn_++);
    if (verdict.kind == DnsVerdict::Kind::reply) reply(verdict.bytes);
    if (verdict.kind == DnsVerdict::Kind::forward) outside_.query(query, reply);
  }
}

void NameServer::accept(UniqueFd connection) {
  if (clients_.size() >= kMaxClients) return;
  const Place client = clients_.emplace(clients_.end());
  client->fd = std::move(connection);
  client->limit = poller_.after(kIdle, [this, client] { clients_.erase(client); });
  client->watch =
      poller_.watch(client->fd.get(), EPOLLIN, [this, client](std::uint32_t) { read(client); });
}

void NameServer::read(Place client) {
  std::array<char, 4096> bytes;
  const ssize_t size = ::recv(client->fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    clients_.erase(client);
    return;
  }
  client->bytes.append(bytes.data(), static_cast<std::size_t>(size));
  while (client->bytes.size() >= 2) {  // each query has its length before it
    const std::size_t length =
        static_cast<std::size_t>(static_cast<std::uint8_t>(client->bytes[0]) << 8 |
                                 static_cast<std::uint8_t>(client->bytes[1]));
    if (client->bytes.size() < 2 + length) return;
    const DnsVerdict verdict =
        decide(std::string_view(client->bytes).substr(2, length), names_, turn_++, 0);
    if (verdict.kind == DnsVerdict::Kind::forward) {
      // The host's resolver has it from here on, with what it asked already.
      client->watch.reset();
      connections_.open(std::move(client->fd), outside_, kHostResolver.address, kHostResolver.port,
                        std::move(client->bytes));
      clients_.erase(client);
      return;
    }
    std::string reply;
    reply += static_cast<char>(verdict.bytes.size() >> 8);
    reply += static_cast<char>(verdict.bytes.size());
    reply += verdict.bytes;
    if (verdict.kind == DnsVerdict::Kind::ignore ||
        ::send(client->fd.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
            static_cast<ssize_t>(reply.size())) {
      clients_.erase(client);
      return;
    }
    client->bytes.erase(0, 2 + length);
    client->limit = poller_.after(kIdle, [this, client] { clients_.erase(client); });
  }
}

}  // namespace locald::netd
