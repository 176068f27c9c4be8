#include "net/sandbox/netlink.h"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "net/sandbox/netlink_message.h"

namespace locald::net {
namespace {

constexpr std::uint16_t kNew = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

/// That the kernel does not know links of this kind, where it said so.
Result<void> known_kind(Result<void> made, const std::string& kind) {
  if (made || made.error().sys_errno() != EOPNOTSUPP) return made;
  return Error(Errc::unsupported, "this kernel has no links of kind " + kind)
      .with_hint("load its module (sudo modprobe " + kind +
                 "); where the kernel has none, write network = \"host\"");
}

}  // namespace

Result<Netlink> Netlink::open() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return Error::from_errno(errno, "open a netlink socket");
  const int on = 1;  // an error then comes without a copy of the request
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  return Netlink(std::move(socket));
}

Result<void> Netlink::exchange(NetlinkMessage& message) {
  const std::string_view bytes = message.finish(++sequence_);
  if (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0)
    return Error::from_errno(errno, "send to netlink");
  alignas(NLMSG_ALIGNTO) std::array<char, 4096> reply{};
  while (true) {
    const ssize_t size = ::recv(socket_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error::from_errno(errno, "receive from netlink");
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (!NLMSG_OK(header, static_cast<std::size_t>(size)) || header->nlmsg_type != NLMSG_ERROR)
      return Error(Errc::failed, "an unexpected answer from netlink");
    if (header->nlmsg_seq != sequence_) continue;  // to a request before, which was given up
    const int error = reinterpret_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
    if (error == 0) return {};
    return Error::from_errno(-error, "netlink");
  }
}

Result<int> Netlink::index_of(const std::string& link) {
  ifreq request{};
  if (link.size() >= sizeof request.ifr_name)
    return Error(Errc::invalid_input, "invalid name of a link: " + link);
  link.copy(request.ifr_name, link.size());
  // Asked of the socket: the thread may be in another namespace by now.
  if (::ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0)
    return Error::from_errno(errno, "find the link " + link);
  return request.ifr_ifindex;
}

Result<void> Netlink::set_up(const std::string& link) {
  ifinfomsg body{};
  body.ifi_index = TRY(index_of(link));
  body.ifi_flags = body.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, body);
  return exchange(message).context("bring up " + link);
}

Result<void> Netlink::set_group(const std::string& link, std::uint32_t group) {
  ifinfomsg body{};
  body.ifi_index = TRY(index_of(link));
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, body);
  message.add(IFLA_GROUP, group);
  return exchange(message).context("put " + link + " into a group");
}

Result<bool> Netlink::is_bridge(const std::string& link) {
  ifreq request{};
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  (void)TRY(index_of(link));
  link.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (::ioctl(socket_.get(), SIOCETHTOOL, &request) != 0) {
    if (errno == EOPNOTSUPP) return false;
    return Error::from_errno(errno, "ask for the driver of " + link);
  }
  return std::string_view(info.driver) == "bridge";
}

Result<void> Netlink::add_bridge(const std::string& name, int mtu) {
  ifinfomsg body{};
  body.ifi_flags = body.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, kNew, body);
  message.add(IFLA_IFNAME, name);
  message.add(IFLA_MTU, mtu);
  message.nest(IFLA_LINKINFO, [&] { message.add(IFLA_INFO_KIND, std::string("bridge")); });
  return known_kind(exchange(message), "bridge").context("make the bridge " + name);
}

Result<void> Netlink::add_veth(const std::string& name, const std::string& bridge, int mtu,
                               int peer_netns, const std::string& peer,
                               std::span<const std::uint8_t> peer_mac) {
  ifinfomsg body{};
  body.ifi_flags = body.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, kNew, body);
  message.add(IFLA_IFNAME, name);
  message.add(IFLA_MASTER, TRY(index_of(bridge)));
  message.add(IFLA_MTU, mtu);
  message.nest(IFLA_LINKINFO, [&] {
    message.add(IFLA_INFO_KIND, std::string("veth"));
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        // A peer cannot be set up in the message that makes it: ENOTCONN.
        const ifinfomsg other{};
        message.append(&other, sizeof other);
        message.add(IFLA_IFNAME, peer);
        message.add(IFLA_MTU, mtu);
        message.add(IFLA_NET_NS_FD, peer_netns);
        if (!peer_mac.empty()) message.add(IFLA_ADDRESS, peer_mac);
      });
    });
  });
  return known_kind(exchange(message), "veth")
      .context("make the link " + name + " into the bridge " + bridge);
}

Result<void> Netlink::remove_link(const std::string& name) {
  ifinfomsg body{};
  body.ifi_index = TRY(index_of(name));
  NetlinkMessage message(RTM_DELLINK, NLM_F_ACK, body);
  return exchange(message).context("remove the link " + name);
}

Result<void> Netlink::add_address(const std::string& link, const Subnet& address) {
  ifaddrmsg body{};
  body.ifa_family = static_cast<std::uint8_t>(address.address.family());
  body.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  body.ifa_flags = IFA_F_PERMANENT | (address.address.is_v6() ? IFA_F_NODAD : 0);
  body.ifa_index = static_cast<std::uint32_t>(TRY(index_of(link)));
  NetlinkMessage message(RTM_NEWADDR, kNew, body);
  message.add(IFA_LOCAL, address.address.bytes());
  message.add(IFA_ADDRESS, address.address.bytes());
  if (!address.address.is_v6()) {
    const IpAddress last = address.network().plus(address.size() - 1);
    message.add(IFA_BROADCAST, last.bytes());
  }
  return exchange(message).context("give " + link + " the address " + address.text());
}

Result<void> Netlink::remove_address(const std::string& link, const Subnet& address) {
  ifaddrmsg body{};
  body.ifa_family = static_cast<std::uint8_t>(address.address.family());
  body.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  body.ifa_index = static_cast<std::uint32_t>(TRY(index_of(link)));
  NetlinkMessage message(RTM_DELADDR, NLM_F_ACK, body);
  message.add(IFA_LOCAL, address.address.bytes());
  return exchange(message).context("take the address " + address.text() + " from " + link);
}

Result<void> Netlink::keep_mac(const std::string& link) {
  ifinfomsg body{};
  body.ifi_index = TRY(index_of(link));
  ifreq request{};
  link.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(socket_.get(), SIOCGIFHWADDR, &request) != 0)
    return Error::from_errno(errno, "ask for the MAC of " + link);
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK, body);
  message.add(IFLA_ADDRESS, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return exchange(message).context("keep the MAC of " + link);
}

Result<void> Netlink::add_default_route(const IpAddress& gateway) {
  rtmsg body{};
  body.rtm_family = static_cast<std::uint8_t>(gateway.family());
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  NetlinkMessage message(RTM_NEWROUTE, kNew, body);
  message.add(RTA_GATEWAY, gateway.bytes());
  return exchange(message).context("route everything by " + gateway.text());
}

}  // namespace locald::net
