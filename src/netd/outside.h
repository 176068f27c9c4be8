#pragma once
#include <optional>

#include "base/sys/unique_fd.h"
#include "net/netd_plan.h"
#include "netd/dialer.h"
#include "netd/resolver.h"

namespace locald::netd {

/// What containers may reach of the host's networks.
///
/// All that the host's user reaches, but nothing of the host itself: neither its loopback nor its
/// other addresses, but for ports that the plan names. Whether an address is the host's own, the
/// kernel's routes say (rtnetlink(7)).
class OutsidePolicy {
 public:
  explicit OutsidePolicy(const Resolver& resolver) : resolver_(resolver) {}

  void use(net::OutsidePlan plan) { plan_ = std::move(plan); }

  /// Where to connect to for `wanted`; nothing: it is refused.
  std::optional<Destination> destination(const net::AddressAndPort& wanted) const;

 private:
  bool is_elsewhere(const net::IpAddress& address) const;

  const Resolver& resolver_;
  net::OutsidePlan plan_;
};

}  // namespace locald::netd
