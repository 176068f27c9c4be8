#include "netd/netd.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <set>
#include <utility>

namespace locald::netd {
namespace {

/// SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, whose headers cannot stand beside <netinet/in.h>.
constexpr int kOriginalDestination = 80;

std::optional<net::AddressAndPort> original_destination(int socket) {
  sockaddr_storage wanted{};
  socklen_t size = sizeof wanted;
  for (const int level : {SOL_IP, SOL_IPV6})
    if (size = sizeof wanted;
        ::getsockopt(socket, level, kOriginalDestination, &wanted, &size) == 0)
      return net::address_and_port(wanted);
  return std::nullopt;
}

std::size_t sockets_of(const net::NetdPlan::Network& network) {
  return network.addresses.size() * (network.relays ? 3 : 2);
}

}  // namespace

Result<void> Netd::check(const net::NetdPlan& plan, std::size_t handed) const {
  std::size_t wanted = 0;
  std::set<std::uint32_t> networks;
  for (const auto& each : plan.networks) {
    if (each.handed) wanted += sockets_of(each);
    if (each.handed == networks_.contains(each.number) || !networks.insert(each.number).second)
      return Error(Errc::invalid_input, "network " + std::to_string(each.number) +
                                            (each.handed ? " is there already" : " is not there"));
  }
  for (const auto& each : plan.names)
    if (!networks.contains(each.network))
      return Error(Errc::invalid_input, "name " + each.name + ": its network is not there");
  std::set<net::AddressAndPort> ports;
  for (const auto& each : plan.ports) {
    if (each.handed) ++wanted;
    if (each.handed == ports_.contains(each.outside) || !ports.insert(each.outside).second)
      return Error(Errc::invalid_input, "port " + each.outside.address.text() + " " +
                                            std::to_string(each.outside.port) +
                                            (each.handed ? " is there already" : " is not there"));
  }
  if (wanted != handed)
    return Error(Errc::invalid_input, std::to_string(handed) + " sockets came with a plan for " +
                                          std::to_string(wanted));
  return {};
}

Netd::Network Netd::make(const net::NetdPlan::Network& plan,
                         std::vector<UniqueFd>::iterator& next) {
  Network out;
  NameServer::Sockets sockets;
  for (std::size_t i = 0; i < plan.addresses.size(); ++i) {
    sockets.udp.push_back(std::move(*next++));
    sockets.tcp.push_back(std::move(*next++));
    if (plan.relays)
      out.relays.emplace_back(poller_, std::move(*next++),
                              [this](UniqueFd client) { relay(std::move(client)); });
  }
  out.names = std::make_unique<NameServer>(poller_, std::move(sockets), outside_, connections_);
  return out;
}

Result<void> Netd::apply(net::NetdPlan plan, std::vector<UniqueFd> handed) {
  TRY(check(plan, handed.size()));
  auto next = handed.begin();
  std::map<std::uint32_t, Names> names;
  for (const auto& each : plan.networks) {
    if (each.handed) networks_.emplace(each.number, make(each, next));
    names[each.number];
  }
  for (auto& each : plan.names) names[each.network][each.name] = std::move(each.addresses);
  for (auto& [number, of_network] : names) networks_.at(number).names->use(std::move(of_network));

  std::map<net::AddressAndPort, Port> before = std::exchange(ports_, {});
  for (const auto& each : plan.ports) {
    Port& port = ports_[each.outside];
    if (each.handed)
      port.acceptor = std::make_unique<Acceptor>(
          poller_, std::move(*next++), [this, at = each.outside](UniqueFd client) {
            const auto& target = ports_.at(at).target;
            if (!target) return Forward::reset(std::move(client));
            connections_.open(std::move(client), inside_, target->address, target->port);
          });
    else
      port.acceptor = std::move(before.at(each.outside).acceptor);
    port.target = each.target;
  }
  return {};
}

void Netd::relay(UniqueFd client) {
  const auto wanted = original_destination(client.get());
  if (!wanted || wanted->address == kHostResolver.address) return Forward::reset(std::move(client));
  connections_.open(std::move(client), outside_, wanted->address, wanted->port);
}

}  // namespace locald::netd
