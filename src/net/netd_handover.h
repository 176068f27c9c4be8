#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/netd_plan.h"

namespace locald::net {

/// Sockets of a netd, by what they are for. One netd hands them over to the next:
///
///     server                            old              new
///       | -- hand_over() --------------->|                |
///       |<-- its sockets ----------------|                |   both have them from the plan on:
///       | -- plan, all of it handed --------------------->|   a port is open all the time
///       | -- retire() ------------------>|                |
///                                        | serves its connections to their end, and ends
///
/// Where the new one fails, the old one has lost nothing.
struct NetdSockets {
  std::map<std::uint32_t, std::vector<UniqueFd>> networks;
  std::map<std::pair<bool, AddressAndPort>, UniqueFd> ports;  ///< by NetdPlan::Port::key()
  std::map<std::string, std::vector<UniqueFd>> services;

  /// Those that `plan`, as a netd has told it, hands over in this order.
  /// @return Errc::invalid_input: they are more or fewer than it has lines for.
  Result<void> add(const NetdPlan& plan, std::vector<UniqueFd> fds);
  /// Takes out those that `plan` hands over, in its order.
  /// @return Errc::not_found: what has none here.
  Result<std::vector<UniqueFd>> take(const NetdPlan& plan);
};

/// How many descriptors come with a handed network, and with a handed service.
std::size_t sockets_of(const NetdPlan::Network& network);
inline constexpr std::size_t kSocketsOfService = 3;

}  // namespace locald::net
