#include "net/sandbox/sandbox.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/sys/sys.h"
#include "net/sandbox/netlink.h"
#include "net/socket_address.h"

namespace locald::net {
namespace {

/// A thread is in one network namespace: what is done in another has a thread of its own.
Result<void> on_own_thread(const std::function<Result<void>()>& work) {
  Result<void> done;
  std::thread([&] { done = work(); }).join();
  return done;
}

/// The calling thread goes into a new one, and has its loopback up.
Result<UniqueFd> enter_new_namespace() {
  if (::unshare(CLONE_NEWNET) != 0)
    return Error::from_errno(errno, "make a network namespace")
        .with_hint("how many a user may have: sysctl user.max_net_namespaces");
  UniqueFd own = TRY(sys::open("/proc/thread-self/ns/net", O_RDONLY));
  TRY(TRY(Netlink::open()).set_up("lo"));
  return own;
}

/// A setting of the network namespace that the calling thread is in; where /proc/sys cannot be
/// written, it stays.
void set_here(const char* name, std::string_view value) {
  if (auto file = sys::open(std::string("/proc/sys/net/") + name, O_WRONLY))
    (void)!::write(file->get(), value.data(), value.size());
}

/// netd closes most of its connections to services first, after their clients. Each would keep its
/// port for a minute, and 470 new connections to a service in a second would use them up.
void let_ports_be_used_again() {
  set_here("ipv4/tcp_tw_reuse", "1");
  set_here("ipv4/ip_local_port_range", "16384 65535");
}

Result<void> enter(int netns) {
  if (::setns(netns, CLONE_NEWNET) != 0)
    return Error::from_errno(errno, "join a network namespace");
  return {};
}

}  // namespace

Result<void> let_forward() {
  const UniqueFd v4 = TRY(sys::open("/proc/sys/net/ipv4/ip_forward", O_WRONLY));
  TRY(sys::write_all(v4.get(), "1"));
  set_here("ipv6/conf/all/forwarding", "1");
  return {};
}

Result<void> in_namespace(int netns, const std::function<Result<void>()>& work) {
  return on_own_thread([&]() -> Result<void> {
    TRY(enter(netns));
    return work();
  });
}

namespace {

struct LinkAddress {
  std::string link;
  Subnet address;
};

/// All of the namespace of the calling thread, but for loopback and link-local ones.
Result<std::vector<LinkAddress>> addresses_here() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return Error::from_errno(errno, "list addresses");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> freed(all, ::freeifaddrs);
  std::vector<LinkAddress> out;
  const auto bytes = [](const sockaddr* of) {
    sockaddr_storage copy{};
    std::memcpy(&copy, of, of->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    return address_and_port(copy);
  };
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_netmask == nullptr) continue;
    const auto family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const auto address = bytes(each->ifa_addr);
    if (!address || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    int length = 0;
    const auto* raw =
        family == AF_INET6
            ? reinterpret_cast<const sockaddr_in6*>(each->ifa_netmask)->sin6_addr.s6_addr
            : reinterpret_cast<const std::uint8_t*>(
                  &reinterpret_cast<const sockaddr_in*>(each->ifa_netmask)->sin_addr);
    for (int i = 0; i < (family == AF_INET6 ? 16 : 4); ++i) length += __builtin_popcount(raw[i]);
    if (address->address.is_v6() && Subnet::parse("fe80::/10").value().contains(address->address))
      continue;
    out.push_back({each->ifa_name, {address->address, length}});
  }
  return out;
}

Result<void> drop_address(Netlink& links, const LinkAddress& each) {
  auto removed = links.remove_address(each.link, each.address);
  if (!removed && removed.error().sys_errno() == EADDRNOTAVAIL) return {};  // it is gone already
  return removed;
}

/// `address` is nowhere but at `link`. @return whether it is there
Result<bool> free_address(Netlink& links, const std::vector<LinkAddress>& present,
                          const std::string& link, const Subnet& address) {
  bool there = false;
  for (const LinkAddress& each : present) {
    if (each.address.address != address.address) continue;
    if (each.link == link && each.address.length == address.length)
      there = true;
    else
      TRY(drop_address(links, each));
  }
  return there;
}

/// In the namespace of the calling thread. @param lacking  Some may be there.
Result<void> make_bridges(const std::vector<Bridge>& bridges, bool lacking) {
  Netlink links = TRY(Netlink::open());
  std::vector<LinkAddress> present;
  if (lacking) present = TRY(addresses_here());
  for (const Bridge& bridge : bridges) {
    auto made = links.add_bridge(bridge.name, kMtu);
    if (!made && !(lacking && made.error().sys_errno() == EEXIST)) return made;
    for (const LinkAddress& each : present)
      if (each.link == bridge.name && std::find(bridge.addresses.begin(), bridge.addresses.end(),
                                                each.address) == bridge.addresses.end())
        TRY(drop_address(links, each));
    for (const Subnet& address : bridge.addresses)
      if (!TRY(free_address(links, present, bridge.name, address)))
        TRY(links.add_address(bridge.name, address));
  }
  return {};
}

}  // namespace

Result<void> take_address(const std::string& link, const Subnet& address) {
  Netlink links = TRY(Netlink::open());
  if (TRY(free_address(links, TRY(addresses_here()), link, address))) return {};
  return links.add_address(link, address);
}

Result<void> add_bridges(int sandbox, const std::vector<Bridge>& bridges) {
  return in_namespace(sandbox, [&] { return make_bridges(bridges, /*lacking=*/true); });
}

std::vector<std::uint8_t> mac_of(const IpAddress& address) {
  std::vector<std::uint8_t> mac{0x02, 0x42, 0, 0, 0, 0};
  std::copy(address.bytes().end() - 4, address.bytes().end(), mac.begin() + 2);
  return mac;
}

Result<UniqueFd> make_namespace() { return make_sandbox({}); }

Result<UniqueFd> make_sandbox(const std::vector<Bridge>& bridges) {
  UniqueFd out;
  TRY(on_own_thread([&]() -> Result<void> {
    out = TRY(enter_new_namespace());
    if (bridges.empty()) return {};
    let_ports_be_used_again();
    return make_bridges(bridges, /*lacking=*/false);
  }));
  return out;
}

Result<UniqueFd> make_attached(int sandbox, const std::vector<Link>& links) {
  UniqueFd out;
  TRY(on_own_thread([&]() -> Result<void> {
    out = TRY(enter_new_namespace());
    // As Docker has it.
    set_here("ipv4/ip_unprivileged_port_start", "0");
    set_here("ipv4/ping_group_range", "0 65535");
    // A link that is brought up tells the others, also the bridge, that its address is here now:
    // an earlier service may have had it, and may not be gone yet.
    set_here("ipv4/conf/all/arp_notify", "1");
    set_here("ipv6/conf/all/ndisc_notify", "1");
    // A socket stays in the namespace that it was made in.
    Netlink inside = TRY(Netlink::open());
    TRY(enter(sandbox));
    Netlink outside = TRY(Netlink::open());
    for (const Link& link : links) {
      TRY(outside.add_veth(link.host_end, link.bridge, kMtu, out.get(), link.name,
                           link.addresses.empty() ? std::vector<std::uint8_t>()
                                                  : mac_of(link.addresses.front().address)));
      for (const Subnet& address : link.addresses) TRY(inside.add_address(link.name, address));
      TRY(inside.set_up(link.name));
      for (const IpAddress& gateway : link.routes) TRY(inside.add_default_route(gateway));
    }
    return {};
  }));
  return out;
}

Result<UniqueFd> make_probe_socket(int netns) {
  UniqueFd out;
  TRY(in_namespace(netns, [&]() -> Result<void> {
    out.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!out) return Error::from_errno(errno, "make a socket");
    return {};
  }));
  return out;
}

}  // namespace locald::net
