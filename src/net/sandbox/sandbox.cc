#include "net/sandbox/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <thread>

#include "base/sys/sys.h"
#include "net/sandbox/netlink.h"

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

Result<void> in_namespace(int netns, const std::function<Result<void>()>& work) {
  return on_own_thread([&]() -> Result<void> {
    TRY(enter(netns));
    return work();
  });
}

namespace {

/// In the namespace of the calling thread. @param lacking  One that is there is left as it is.
Result<void> make_bridges(const std::vector<Bridge>& bridges, bool lacking) {
  Netlink links = TRY(Netlink::open());
  for (const Bridge& bridge : bridges) {
    auto made = links.add_bridge(bridge.name, kMtu);
    if (lacking && !made && made.error().sys_errno() == EEXIST) continue;
    TRY(std::move(made));
    for (const Subnet& address : bridge.addresses) TRY(links.add_address(bridge.name, address));
  }
  return {};
}

}  // namespace

Result<void> add_bridges(int sandbox, const std::vector<Bridge>& bridges) {
  return in_namespace(sandbox, [&] { return make_bridges(bridges, /*lacking=*/true); });
}

namespace {

/// A link that gets the address of an earlier one gets its MAC too: others have that in their ARP
/// tables. Locally administered (IEEE 802), as Docker's. Empty: the link has no
/// address.
std::vector<std::uint8_t> mac_of(const Link& link) {
  if (link.addresses.empty()) return {};
  const auto bytes = link.addresses.front().address.bytes();
  std::vector<std::uint8_t> mac{0x02, 0x42};
  mac.insert(mac.end(), bytes.end() - 4, bytes.end());
  return mac;
}

}  // namespace

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
      TRY(outside.add_veth(link.host_end, link.bridge, kMtu, out.get(), link.name, mac_of(link)));
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
