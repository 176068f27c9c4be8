#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/ip_address.h"

namespace locald::net {

class NetlinkMessage;

/// Makes links, addresses and routes in one network namespace (rtnetlink(7)). Each call is one
/// exchange with the kernel, which answers before it returns. Not thread-safe.
///
/// What a call has made before it failed stays: it is gone with the namespace.
class Netlink {
 public:
  /// Of the network namespace that the calling thread is in now.
  static Result<Netlink> open();

  Result<void> set_up(const std::string& link);
  /// Rules of a firewall tell links by it (NftRule::from_group()).
  Result<void> set_group(const std::string& link, std::uint32_t group);
  Result<bool> is_bridge(const std::string& link);
  Result<void> add_bridge(const std::string& name, int mtu);
  /// Both ends of a pair: `name` here, up and a port of `bridge`, and `peer` in the network
  /// namespace `peer_netns`, down.
  /// @param peer_mac  empty: the kernel draws one
  Result<void> add_veth(const std::string& name, const std::string& bridge, int mtu, int peer_netns,
                        const std::string& peer, std::span<const std::uint8_t> peer_mac);
  /// @return Errc::not_found where there is none.
  Result<void> remove_link(const std::string& name);
  /// Usable at once: nobody is asked whether an IPv6 address is in use already.
  Result<void> add_address(const std::string& link, const Subnet& address);
  Result<void> remove_address(const std::string& link, const Subnet& address);
  /// A bridge else has the lowest one of its ports.
  Result<void> keep_mac(const std::string& link);
  Result<void> add_default_route(const IpAddress& gateway);

 private:
  explicit Netlink(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<void> exchange(NetlinkMessage& message);
  Result<int> index_of(const std::string& link);

  UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace locald::net
