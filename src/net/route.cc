#include "net/route.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <string_view>

#include "base/sys/unique_fd.h"
#include "net/sandbox/netlink_message.h"

namespace locald::net {

std::optional<int> route_type(const IpAddress& address) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return std::nullopt;
  rtmsg body{};
  body.rtm_family = static_cast<std::uint8_t>(address.family());
  body.rtm_dst_len = static_cast<std::uint8_t>(address.bits());
  NetlinkMessage message(RTM_GETROUTE, 0, body);
  message.add(RTA_DST, address.bytes());
  const std::string_view bytes = message.finish(1);
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0) return std::nullopt;
  alignas(NLMSG_ALIGNTO) std::array<char, 4096> reply{};
  const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
  if (size < 0 || !NLMSG_OK(header, static_cast<std::size_t>(size)) ||
      header->nlmsg_type != RTM_NEWROUTE)
    return std::nullopt;
  return static_cast<const rtmsg*>(NLMSG_DATA(header))->rtm_type;
}

bool has_v6_outside() {
  static const IpAddress outside = IpAddress::parse("2001:4860:4860::8888").value();
  return route_type(outside) == RTN_UNICAST;
}

}  // namespace locald::net
