#include "net/listeners.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/transient.h"

namespace locald::net {
namespace {

constexpr std::size_t kMaxTable = 64u << 20;  // bytes of /proc/net/tcp

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

/// Eight (v4) or thirty-two (v6) hex digits, each group of four bytes in host order.
bool read_address(std::string_view hex, bool v6, Listener& out) {
  const std::size_t words = v6 ? 4 : 1;
  if (hex.size() != words * 8) return false;
  std::array<std::uint32_t, 4> raw{};
  for (std::size_t i = 0; i < words; ++i) {
    char* end = nullptr;
    const std::string part(hex.substr(i * 8, 8));
    raw[i] = static_cast<std::uint32_t>(std::strtoul(part.c_str(), &end, 16));
    if (end != part.c_str() + 8) return false;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(v6 ? AF_INET6 : AF_INET, raw.data(), text.data(), text.size()) == nullptr)
    return false;
  out.address = text.data();
  out.loopback = is_loopback(out.address);
  return true;
}

}  // namespace

const Fields& Listener::fields() {
  using L = Listener;
  static const Fields table = FieldsOf<L>("listener")
                                  .required("address", &L::address, "")
                                  .required("port", &L::port, "")
                                  .required("inode", &L::inode, "")
                                  .field("uid", &L::uid, "")
                                  .field("loopback", &L::loopback, "")
                                  .field("dual", &L::dual, "")
                                  .field("netns", &L::netns, "");
  return table;
}

std::vector<Listener> parse_proc_net_tcp(const std::string& text, bool v6) {
  std::vector<Listener> found;
  for (const std::string& line : split(text, '\n')) {
    std::array<char, 40> address{};
    unsigned port = 0, state = 0, uid = 0;
    unsigned long inode = 0;
    if (std::sscanf(
            line.c_str(),
            " %*u: %39[0-9A-Fa-f]:%4X %*[0-9A-Fa-f]:%*4X %2X %*8X:%*8X %*2X:%*8X %*8X %u %*u %lu",
            address.data(), &port, &state, &uid, &inode) != 5)
      continue;
    Listener listener;
    if (state != TCP_LISTEN || port > 65535 || !read_address(address.data(), v6, listener))
      continue;
    listener.port = static_cast<std::uint16_t>(port);
    listener.inode = inode;
    listener.uid = uid;
    listener.dual = listener.address == "::";
    found.push_back(std::move(listener));
  }
  return found;
}

namespace {

Result<void> each_socket(int protocol, std::uint16_t port, unsigned states,
                         const std::function<void(const TcpSocket&)>& visit) {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return Error::from_errno(errno, "a socket for sock_diag");
  for (const int family : {AF_INET, AF_INET6}) {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
    } ask{};
    ask.header.nlmsg_len = sizeof ask;
    ask.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    ask.request.sdiag_family = static_cast<__u8>(family);
    ask.request.sdiag_protocol = static_cast<__u8>(protocol);
    ask.request.idiag_states = states;
    ask.request.id.idiag_sport = htons(port);
    if (::send(fd.get(), &ask, sizeof ask, 0) < 0) return Error::from_errno(errno, "sock_diag");
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    for (bool more = true; more;) {
      const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return Error::from_errno(n < 0 ? errno : EPROTO, "sock_diag");
      auto left = static_cast<std::size_t>(n);
      for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, left);
           m = NLMSG_NEXT(m, left)) {
        if (m->nlmsg_type == NLMSG_DONE) {
          more = false;
          break;
        }
        if (m->nlmsg_type == NLMSG_ERROR) {
          const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(m));
          // Built without IPv6: there are none then.
          if (family == AF_INET6 && error->error == -ENOENT) return {};
          return Error::from_errno(-error->error, "sock_diag");
        }
        const auto* found = static_cast<const inet_diag_msg*>(NLMSG_DATA(m));
        TcpSocket out;
        out.listening = protocol == IPPROTO_TCP && found->idiag_state == TCP_LISTEN;
        out.lingers = protocol == IPPROTO_TCP && found->idiag_state == TCP_TIME_WAIT;
        Listener& l = out.local;
        std::array<char, INET6_ADDRSTRLEN> text{};
        if (::inet_ntop(family, found->id.idiag_src, text.data(), text.size()) == nullptr) continue;
        l.address = text.data();
        l.loopback = is_loopback(l.address);
        l.port = ntohs(found->id.idiag_sport);
        l.inode = found->idiag_inode;
        l.uid = found->idiag_uid;
        bool only = false;
        auto rest = static_cast<int>(m->nlmsg_len - NLMSG_LENGTH(sizeof *found));
        for (const auto* a = reinterpret_cast<const rtattr*>(found + 1); RTA_OK(a, rest);
             a = RTA_NEXT(a, rest))
          if (a->rta_type == INET_DIAG_SKV6ONLY)
            only = *static_cast<const std::uint8_t*>(RTA_DATA(a)) != 0;
        l.dual = l.address == "::" && !only;
        if (port == 0 || l.port == port) visit(out);
      }
    }
  }
  return {};
}

}  // namespace

Result<void> each_tcp_socket(std::uint16_t port, unsigned states,
                             const std::function<void(const TcpSocket&)>& visit) {
  return each_socket(IPPROTO_TCP, port, states, visit);
}

Result<void> each_udp_socket(std::uint16_t port,
                             const std::function<void(const TcpSocket&)>& visit) {
  return each_socket(IPPROTO_UDP, port, ~0u, visit);
}

Result<std::vector<Listener>> quick_listeners(std::uint16_t port) {
  std::vector<Listener> all;
  TRY(each_tcp_socket(port, 1u << TCP_LISTEN, [&](const TcpSocket& s) {
    if (s.listening) all.push_back(s.local);
  }));
  return all;
}

Result<std::vector<Listener>> listeners_by_text(const std::string& pid, std::uint64_t netns) {
  const std::string net = "/proc/" + pid + "/net/";
  std::vector<Listener> all = parse_proc_net_tcp(TRY(read_file(net + "tcp", kMaxTable)), false);
  if (const auto six = read_file(net + "tcp6", kMaxTable)) {
    auto more = parse_proc_net_tcp(*six, true);
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }
  for (Listener& l : all) l.netns = netns;
  return all;
}

Result<std::vector<Listener>> listeners(std::uint16_t port) {
  auto asked = quick_listeners(port);
  // A socket that could not be made for want of descriptors does not change the way to ask.
  if (asked || may_pass(asked.error())) return asked;
  std::vector<Listener> all = TRY(listeners_by_text("self", 0));
  std::erase_if(all, [port](const Listener& l) { return port != 0 && l.port != port; });
  return all;
}

}  // namespace locald::net
