#include "netd/netd.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <utility>

#include "net/packet.h"

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

constexpr std::size_t kMaxAddresses = 16;  // of a network
constexpr std::size_t kShareLines = 256;   // what a packet of text carries
constexpr std::size_t kShareFds = net::kMaxPacketFds;

Error retired() { return Error(Errc::invalid_input, "this locald-netd has retired"); }
Error wrong(const std::string& what, bool handed) {
  return Error(Errc::invalid_input, what + (handed ? " is there already" : " is not there"));
}

}  // namespace

Netd::Limits Netd::Limits::of(std::size_t fds) {
  return {fds / 8 * 3, std::min<std::size_t>(fds / 8, 2048)};
}

Netd::Netd(Poller& poller, Dialer& inside, Dialer& outside, Limits limits,
           std::function<void()> over)
    : poller_(poller),
      inside_(inside),
      outside_(outside),
      limits_(limits),
      over_(std::move(over)),
      connections_(poller, [this] { look_whether_over(); }),
      udp_(poller, inside, [this] { look_whether_over(); }, {.flows = limits.flows}) {}

Result<void> Netd::check(const net::NetdPlan& plan, std::size_t handed) const {
  if (retired_) return retired();
  std::size_t wanted = 0;
  std::set<std::uint32_t> networks;
  for (const auto& each : plan.networks) {
    if (each.handed) wanted += net::sockets_of(each);
    if (each.handed == networks_.contains(each.number) || !networks.insert(each.number).second)
      return wrong("network " + std::to_string(each.number), each.handed);
    if (each.addresses.size() > kMaxAddresses)
      return Error(Errc::invalid_input,
                   "network " + std::to_string(each.number) + " has too many addresses");
  }
  for (const auto& each : plan.names)
    if (!networks.contains(each.network))
      return Error(Errc::invalid_input, "name " + each.name + ": its network is not there");
  std::set<PortKey> ports;
  for (const auto& each : plan.ports) {
    if (each.handed) ++wanted;
    if (each.handed == ports_.contains(each.key()) || !ports.insert(each.key()).second)
      return wrong("port " + each.outside.address.text() + " " + std::to_string(each.outside.port),
                   each.handed);
  }
  std::set<std::string> services;
  for (const auto& each : plan.services) {
    if (each.handed) wanted += net::kSocketsOfService;
    if (each.handed == services_.contains(each.name) || !services.insert(each.name).second)
      return wrong("service " + each.name, each.handed);
    for (const std::uint32_t network : each.networks)
      if (!networks.contains(network))
        return Error(Errc::invalid_input, "service " + each.name + ": its network is not there");
  }
  if (wanted != handed)
    return Error(Errc::invalid_input, std::to_string(handed) + " sockets came with a plan for " +
                                          std::to_string(wanted));
  return {};
}

std::unique_ptr<NameServer> Netd::name_server(NameServer::Sockets sockets) {
  return std::make_unique<NameServer>(poller_, std::move(sockets), outside_, connections_,
                                      [this] { look_whether_over(); });
}

std::unique_ptr<Acceptor> Netd::acceptor(UniqueFd listener,
                                         std::function<void(UniqueFd)> accepted) {
  return std::make_unique<Acceptor>(poller_, std::move(listener), std::move(accepted),
                                    [this] { return connections_.size() < limits_.connections; });
}

void Netd::take(const net::NetdPlan::Network& plan, std::vector<UniqueFd> sockets) {
  Network& network = networks_[plan.number];
  network.plan = plan;
  auto next = sockets.begin();
  NameServer::Sockets names;
  for (std::size_t i = 0; i < plan.addresses.size(); ++i) {
    names.udp.push_back(std::move(*next++));
    names.tcp.push_back(std::move(*next++));
    if (plan.relays)
      network.relays.push_back(
          acceptor(std::move(*next++), [this](UniqueFd client) { relay(std::move(client)); }));
  }
  network.server = name_server(std::move(names));
}

Result<void> Netd::apply(net::NetdPlan plan, std::vector<UniqueFd> fds) {
  TRY(check(plan, fds.size()));
  net::NetdSockets handed;
  TRY(handed.add(plan, std::move(fds)));
  std::map<std::uint32_t, Names> names;
  for (const auto& each : plan.networks) {
    if (each.handed) take(each, std::move(handed.networks[each.number]));
    names[each.number];
  }
  for (auto& each : plan.names) names[each.network][each.name] = std::move(each.addresses);
  for (auto& [number, of_network] : names) {
    Network& network = networks_.at(number);
    network.names = std::make_shared<const Names>(std::move(of_network));
    network.server->use({network.names});
  }
  apply_ports(plan, handed);
  apply_services(plan, handed);
  return {};
}

void Netd::apply_ports(const net::NetdPlan& plan, net::NetdSockets& handed) {
  std::map<PortKey, Port> before = std::exchange(ports_, {});
  for (const auto& each : plan.ports) {
    Port& port = ports_[each.key()];
    port.target = each.target;
    if (each.udp) {
      if (each.handed) udp_.open(each.outside, std::move(handed.ports[each.key()]));
      udp_.use(each.outside, each.target);
    } else if (each.handed) {
      port.acceptor =
          acceptor(std::move(handed.ports[each.key()]), [this, key = each.key()](UniqueFd client) {
            const auto& target = ports_.at(key).target;
            if (!target) return Forward::reset(std::move(client));
            connections_.open(std::move(client), inside_, target->address, target->port);
          });
    } else {
      port.acceptor = std::move(before.at(each.key()).acceptor);
    }
  }
  for (const auto& [key, port] : before)
    if (key.first && !ports_.contains(key)) udp_.close(key.second);
}

void Netd::apply_services(const net::NetdPlan& plan, net::NetdSockets& handed) {
  std::map<std::string, Service> before = std::exchange(services_, {});
  for (const auto& each : plan.services) {
    Service& service = services_[each.name];
    if (each.handed) {
      auto& sockets = handed.services[each.name];
      service.netns = std::move(sockets[0]);
      NameServer::Sockets names;
      names.udp.push_back(std::move(sockets[1]));
      names.tcp.push_back(std::move(sockets[2]));
      service.server = name_server(std::move(names));
    } else {
      service = std::move(before.at(each.name));
    }
    NameTables tables;
    for (const std::uint32_t network : each.networks) tables.push_back(networks_.at(network).names);
    service.server->use(std::move(tables));
  }
}

Result<Netd::Share> Netd::share(std::size_t from) const {
  if (retired_) return retired();
  Share out;
  std::size_t number = 0;  // of the thing
  bool full = false;
  // Adds what `add` adds, unless it was told before, or does not fit.
  const auto share = [&](std::size_t fds, const auto& add) {
    if (full || number++ < from) return;
    if (number > from + kShareLines || out.fds.size() + fds > kShareFds) {
      full = true;
      out.next = number - 1;
      return;
    }
    add();
  };
  for (const auto& [key, network] : networks_) {
    const net::NetdPlan::Network plan = network.plan;
    share(net::sockets_of(plan), [&] {
      out.plan.networks.push_back(plan);
      out.plan.networks.back().handed = true;
      for (std::size_t i = 0; i < plan.addresses.size(); ++i) {
        out.fds.push_back(network.server->udp(i));
        out.fds.push_back(network.server->tcp(i));
        if (plan.relays) out.fds.push_back(network.relays[i]->listener());
      }
    });
  }
  for (const auto& [key, port] : ports_)
    share(1, [&] {
      out.plan.ports.push_back({key.second, true, std::nullopt, key.first});
      out.fds.push_back(key.first ? udp_.socket(key.second) : port.acceptor->listener());
    });
  for (const auto& [name, service] : services_)
    share(net::kSocketsOfService, [&] {
      out.plan.services.push_back({name, true, {}});
      out.fds.insert(out.fds.end(),
                     {service.netns.get(), service.server->udp(0), service.server->tcp(0)});
    });
  return out;
}

void Netd::retire() {
  retired_ = true;
  ports_.clear();
  udp_.retire();
  for (auto& [number, network] : networks_) {
    network.server->retire();
    network.relays.clear();
  }
  for (auto& [name, service] : services_) service.server->retire();
  look_whether_over();
}

void Netd::look_whether_over() {
  if (!retired_ || connections_.size() + udp_.flows() > 0) return;
  for (const auto& [number, network] : networks_)
    if (network.server->busy() > 0) return;
  for (const auto& [name, service] : services_)
    if (service.server->busy() > 0) return;
  over_();
}

int Netd::service_namespace(const std::string& name) const {
  const auto found = services_.find(name);
  return found == services_.end() ? -1 : found->second.netns.get();
}

void Netd::relay(UniqueFd client) {
  const auto wanted = original_destination(client.get());
  if (!wanted || wanted->address == kHostResolver.address) return Forward::reset(std::move(client));
  connections_.open(std::move(client), outside_, wanted->address, wanted->port);
}

}  // namespace locald::netd
