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

NameServer::NameServer(Poller& poller, Sockets sockets, Dialer& outside, Connections& connections,
                       std::function<void()> ended)
    : poller_(poller), outside_(outside), connections_(connections), ended_(std::move(ended)) {
  for (UniqueFd& socket : sockets.udp) {
    const auto& udp = udp_.emplace_back(std::make_shared<Udp>());
    udp->fd = std::move(socket);
    udp->watch = poller.watch(
        udp->fd.get(), EPOLLIN,
        [this, weak = std::weak_ptr<Udp>(udp)](std::uint32_t) { receive(weak.lock()); });
  }
  for (UniqueFd& socket : sockets.tcp)
    tcp_.push_back(std::make_unique<Acceptor>(
        poller, std::move(socket), [this](UniqueFd connection) { accept(std::move(connection)); }));
}

void NameServer::receive(const std::shared_ptr<Udp>& socket) {
  static std::array<char, 4096> bytes;
  for (int i = 0; i < kPacketsAtOnce; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t size = ::recvfrom(socket->fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0) return;
    const std::string_view query(bytes.data(), static_cast<std::size_t>(size));
    const auto send = [from, length](const Udp& over, const std::string& text) {
      ::sendto(over.fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&from), length);
    };
    const DnsVerdict verdict = decide(query, names_, turn_++);
    if (verdict.kind == DnsVerdict::Kind::reply) send(*socket, verdict.bytes);
    if (verdict.kind != DnsVerdict::Kind::forward) continue;
    ++asked_;
    outside_.query(std::string(query),
                   [this, send, weak = std::weak_ptr<Udp>(socket)](const std::string& text) {
                     const auto asked = weak.lock();
                     if (!asked) return;  // nor is this name server there
                     send(*asked, text);
                     --asked_;
                     ended_();
                   });
  }
}

void NameServer::retire() {
  for (const auto& each : udp_) each->watch.reset();
  tcp_.clear();
}

void NameServer::erase(Place client) {
  clients_.erase(client);
  ended_();
}

void NameServer::accept(UniqueFd connection) {
  if (clients_.size() >= kMaxClients) return;
  const Place client = clients_.emplace(clients_.end());
  client->fd = std::move(connection);
  client->limit = poller_.after(kIdle, [this, client] { erase(client); });
  client->watch =
      poller_.watch(client->fd.get(), EPOLLIN, [this, client](std::uint32_t) { read(client); });
}

void NameServer::read(Place client) {
  std::array<char, 4096> bytes;
  const ssize_t size = ::recv(client->fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    erase(client);
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
      erase(client);
      return;
    }
    std::string reply;
    reply += static_cast<char>(verdict.bytes.size() >> 8);
    reply += static_cast<char>(verdict.bytes.size());
    reply += verdict.bytes;
    if (verdict.kind == DnsVerdict::Kind::ignore ||
        ::send(client->fd.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
            static_cast<ssize_t>(reply.size())) {
      erase(client);
      return;
    }
    client->bytes.erase(0, 2 + length);
    client->limit = poller_.after(kIdle, [this, client] { erase(client); });
  }
}

}  // namespace locald::netd
