#include "net/netd_handover.h"

#include <iterator>

namespace locald::net {
namespace {

Error missing(const std::string& what) { return Error(Errc::not_found, "no sockets for " + what); }

}  // namespace

std::size_t sockets_of(const NetdPlan::Network& network) {
  return network.addresses.size() * (network.relays ? 3 : 2);
}

Result<void> NetdSockets::add(const NetdPlan& plan, std::vector<UniqueFd> fds) {
  std::size_t at = 0;
  const auto next = [&](std::size_t count) {
    std::vector<UniqueFd> out;
    for (; count > 0 && at < fds.size(); --count) out.push_back(std::move(fds[at++]));
    at += count;  // too few: found out below
    return out;
  };
  for (const auto& each : plan.networks)
    if (each.handed) networks[each.number] = next(sockets_of(each));
  for (const auto& each : plan.ports) {
    if (!each.handed) continue;
    auto one = next(1);
    if (!one.empty()) ports[each.key()] = std::move(one.front());
  }
  for (const auto& each : plan.services)
    if (each.handed) services[each.name] = next(kSocketsOfService);
  if (at != fds.size())
    return Error(Errc::invalid_input, std::to_string(fds.size()) + " sockets came for " +
                                          std::to_string(at) + " that were told");
  return {};
}

Result<std::vector<UniqueFd>> NetdSockets::take(const NetdPlan& plan) {
  std::vector<UniqueFd> out;
  const auto append = [&out](std::vector<UniqueFd>& from) {
    out.insert(out.end(), std::make_move_iterator(from.begin()),
               std::make_move_iterator(from.end()));
  };
  for (const auto& each : plan.networks) {
    if (!each.handed) continue;
    auto node = networks.extract(each.number);
    if (!node || node.mapped().size() != sockets_of(each))
      return missing("network " + std::to_string(each.number));
    append(node.mapped());
  }
  for (const auto& each : plan.ports) {
    if (!each.handed) continue;
    auto node = ports.extract(each.key());
    if (!node)
      return missing("port " + each.outside.address.text() + " " +
                     std::to_string(each.outside.port));
    out.push_back(std::move(node.mapped()));
  }
  for (const auto& each : plan.services) {
    if (!each.handed) continue;
    auto node = services.extract(each.name);
    if (!node || node.mapped().size() != kSocketsOfService) return missing("service " + each.name);
    append(node.mapped());
  }
  return out;
}

}  // namespace locald::net
