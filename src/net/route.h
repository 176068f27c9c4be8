#pragma once
#include <optional>

#include "net/ip_address.h"

namespace locald::net {

/// The type of the route that packets of this thread's network namespace take to `address`
/// (RTN_UNICAST, RTN_LOCAL, …: rtnetlink(7)); nothing: there is none.
std::optional<int> route_type(const IpAddress& address);

/// True if other machines are reached over IPv6, so far as the routes tell. Where they are not,
/// containers are better refused at once than after their connection was taken: they then try
/// IPv4 (BridgePolicy::relay_v6).
bool has_v6_outside();

}  // namespace locald::net
