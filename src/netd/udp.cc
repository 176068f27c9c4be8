#include "netd/udp.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace locald::netd {
namespace {

constexpr int kDatagramsAtOnce = 64;                       // others have their turn between
constexpr std::size_t kMaxWaiting = std::size_t{1} << 20;  // bytes, of all flows together

/// What came is sent on before anything else is received: one buffer does for all.
std::array<char, 65536> datagram;

template <typename T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

UdpPorts::UdpPorts(Poller& poller, Dialer& inside, std::function<void()> ended, Limits limits)
    : poller_(poller), inside_(inside), ended_(std::move(ended)), limits_(limits) {}

void UdpPorts::open(const Key& key, UniqueFd socket) {
  const auto port = std::make_shared<Port>();
  port->fd = std::move(socket);
  port->watch = poller_.watch(port->fd.get(), EPOLLIN,
                              [this, weak = std::weak_ptr<Port>(port)](std::uint32_t) {
                                if (const auto ready = weak.lock()) receive(ready);
                              });
  ports_[key] = port;
}

void UdpPorts::close(const Key& key) {
  const auto node = ports_.extract(key);
  erase_of(node.mapped().get());
}

void UdpPorts::use(const Key& key, std::optional<net::AddressAndPort> target) {
  Port& port = *ports_.at(key);
  if (port.target == target) return;
  port.target = target;
  erase_of(&port);
}

void UdpPorts::retire() {
  limits_.idle = std::min(limits_.idle, limits_.idle_retired);
  for (const auto& [key, port] : ports_) port->watch.reset();
  ports_.clear();  // flows hold those that they answer from
  expire();
}

void UdpPorts::receive(const std::shared_ptr<Port>& port) {
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    sockaddr_storage client{};
    alignas(cmsghdr) std::array<char, 128> control{};
    iovec part{datagram.data(), datagram.size()};
    msghdr message{};
    message.msg_name = &client;
    message.msg_namelen = sizeof client;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(port->fd.get(), &message, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;
    if (!port->target) continue;
    Local local;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
        std::memcpy(&local.v4, CMSG_DATA(head), sizeof local.v4);
        local.v4.ipi_spec_dst = local.v4.ipi_addr;
        local.v4.ipi_ifindex = 0;
        local.level = IPPROTO_IP;
      } else if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO) {
        std::memcpy(&local.v6, CMSG_DATA(head), sizeof local.v6);
        local.level = IPPROTO_IPV6;
      }
    }
    const Place flow = flow_of(port, client, message.msg_namelen, local);
    if (flow != flows_.end()) forward(flow, {datagram.data(), static_cast<std::size_t>(size)});
  }
}

UdpPorts::Place UdpPorts::flow_of(const std::shared_ptr<Port>& port, const sockaddr_storage& client,
                                  socklen_t client_size, const Local& local) {
  std::string key;
  append(key, port.get());
  if (client.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(client);
    append(key, v4.sin_addr);
    append(key, v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(client);
    append(key, v6.sin6_addr);
    append(key, v6.sin6_port);
    append(key, v6.sin6_scope_id);
  }
  if (local.level == IPPROTO_IP) append(key, local.v4.ipi_addr);
  if (local.level == IPPROTO_IPV6) append(key, local.v6.ipi6_addr);
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;

  if (flows_.size() >= limits_.flows) erase(flows_.begin());
  const Place flow = flows_.emplace(flows_.end());
  flow->key = std::move(key);
  flow->port = port;
  flow->client = client;
  flow->client_size = client_size;
  flow->local = local;
  by_key_.emplace(flow->key, flow);
  auto dial = inside_.connect(
      port->target->address, port->target->port,
      [this, flow](Result<UniqueFd> socket) { connected(flow, std::move(socket)); },
      DialRequest::Kind::datagrams);
  if (!dial) {
    erase(flow);
    return flows_.end();
  }
  flow->dial = std::move(dial).value();
  touch(flow);
  return flow;
}

void UdpPorts::forward(Place flow, std::string_view bytes) {
  if (flow->inside) {
    touch(flow);
    // A refusal of an earlier one is told now: nobody listens, so far.
    if (::send(flow->inside.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno == ECONNREFUSED)
      erase(flow);
  } else if (waiting_ + bytes.size() <= kMaxWaiting) {
    waiting_ += bytes.size();
    flow->waiting.emplace_back(bytes);
  }
}

void UdpPorts::connected(Place flow, Result<UniqueFd> socket) {
  if (!socket) return erase(flow);
  flow->inside = std::move(socket).value();
  flow->watch =
      poller_.watch(flow->inside.get(), EPOLLIN, [this, flow](std::uint32_t) { answer(flow); });
  for (const std::string& each : std::exchange(flow->waiting, {})) {
    waiting_ -= each.size();
    ::send(flow->inside.get(), each.data(), each.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void UdpPorts::answer(Place flow) {
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    const ssize_t size = ::recv(flow->inside.get(), datagram.data(), datagram.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return erase(flow);  // nobody listens there
    touch(flow);
    iovec part{datagram.data(), static_cast<std::size_t>(size)};
    msghdr message{};
    message.msg_name = &flow->client;
    message.msg_namelen = flow->client_size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
    const auto from = [&](int level, int type, const auto& info) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(sizeof info);
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = level;
      head->cmsg_type = type;
      head->cmsg_len = CMSG_LEN(sizeof info);
      std::memcpy(CMSG_DATA(head), &info, sizeof info);
    };
    if (flow->local.level == IPPROTO_IP) from(IPPROTO_IP, IP_PKTINFO, flow->local.v4);
    if (flow->local.level == IPPROTO_IPV6) from(IPPROTO_IPV6, IPV6_PKTINFO, flow->local.v6);
    ::sendmsg(flow->port->fd.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void UdpPorts::touch(Place flow) {
  flow->last = Poller::Clock::now();
  flows_.splice(flows_.end(), flows_, flow);
  if (!timer_) timer_ = poller_.after(limits_.idle, [this] { expire(); });
}

void UdpPorts::expire() {
  const auto now = Poller::Clock::now();
  while (!flows_.empty() && flows_.front().last + limits_.idle <= now) erase(flows_.begin());
  timer_.reset();
  if (flows_.empty()) return;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(flows_.front().last + limits_.idle - now);
  timer_ = poller_.after(left, [this] { expire(); });
}

void UdpPorts::erase(Place flow) {
  for (const std::string& each : flow->waiting) waiting_ -= each.size();
  by_key_.erase(flow->key);
  flows_.erase(flow);
  ended_();
}

void UdpPorts::erase_of(const Port* port) {
  for (Place flow = flows_.begin(); flow != flows_.end();) {
    const Place each = flow++;
    if (each->port.get() == port) erase(each);
  }
}

}  // namespace locald::netd
