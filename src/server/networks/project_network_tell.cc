// What netd is told of a project's network, and the ports that it is given.
#include <algorithm>
#include <set>
#include <utility>

#include "base/sys/fs_at.h"
#include "net/ports.h"
#include "net/resolv_file.h"
#include "net/sandbox/netd_sockets.h"
#include "server/networks/project_network.h"

namespace locald::server {
namespace {

std::pair<bool, net::AddressAndPort> published_key(const PublishedPort& port) {
  return {port.udp, port.outside};
}

bool in_the_way(const std::pair<bool, net::AddressAndPort>& one,
                const std::pair<bool, net::AddressAndPort>& other) {
  return one.first == other.first && collide(one.second, other.second);
}

}  // namespace

/// That is what netd has now.
void ProjectNetwork::note_told(const net::NetdPlan& plan) {
  services_.clear();
  ports_.clear();
  // It keeps those that are not told of any more.
  for (const auto& network : plan.networks)
    networks_.emplace(network.number, NetdNetwork{network.relays, network.addresses});
  for (const auto& service : plan.services) services_.insert(service.name);
  for (const auto& port : plan.ports) ports_.insert(port.key());
}

/// netd keeps what it has of `plan`, and lets go of the rest.
Result<void> ProjectNetwork::tell_known(net::NetdPlan plan) {
  std::erase_if(plan.networks, [](const auto& each) { return each.handed; });
  std::erase_if(plan.ports, [](const auto& each) { return each.handed; });
  std::erase_if(plan.services, [](const auto& each) { return each.handed; });
  TRY(netd_->connections().plan(plan.to_text()));
  note_told(plan);
  return {};
}

/// Takes the ports of `plan` that netd lacks; those that cannot be taken leave it.
/// @return why not, where one is of the service `needed`.
Result<void> ProjectNetwork::bind(net::NetdPlan& plan, const NetworkPlan& wanted,
                                  const std::string& needed, std::vector<UniqueFd>& listeners) {
  Lacking lacking;
  const auto lacks = [&](const net::NetdPlan::Port& port) {
    if (!port.handed) return false;
    if (const auto reserved = reserved_.find(port.key()); reserved != reserved_.end()) {
      listeners.push_back(std::move(reserved->second));
      reserved_.erase(reserved);
      return false;
    }
    auto listener = port.udp ? net::bind_udp(port.outside) : net::listen_tcp(port.outside);
    if (listener) {
      listeners.push_back(std::move(*listener));
      return false;
    }
    const auto published =
        std::find_if(wanted.ports.begin(), wanted.ports.end(),
                     [&](const PublishedPort& each) { return published_key(each) == port.key(); });
    if (published != wanted.ports.end())
      lacking.emplace(port.key(),
                      Lack{published->service, deps_.explain(listener.error(), *published)});
    return true;
  };
  std::erase_if(plan.ports, lacks);
  Result<void> done;
  for (const auto& [key, lack] : lacking)
    if (done && lack.service == needed) done = lack.why;
  // One whose start fails for it says so itself.
  std::erase_if(lacking, [&](const auto& entry) { return entry.second.service == needed; });
  const std::lock_guard lock(wanted_mutex_);
  lacking_ = std::move(lacking);
  return done;
}

/// @param needed  The service whose ports have to be taken; what others lack is left for later.
Result<void> ProjectNetwork::tell(const Wanted& wanted, const std::string& needed) {
  const net::Layout& layout = wanted.plan->layout;
  net::NetdPlan plan;
  for (const PublishedPort& port : wanted.plan->ports) {
    const auto gate = wanted.gates.find(port.service);
    if (gate == wanted.gates.end() || gate->second == Gate::closed) continue;
    net::NetdPlan::Port one{.outside = port.outside,
                            .handed = !ports_.contains(published_key(port)),
                            .target = {},
                            .udp = port.udp};
    if (gate->second == Gate::open)
      if (const auto address = layout.address(port.service))
        one.target = net::AddressAndPort{*address, port.inside};
    plan.ports.push_back(std::move(one));
  }
  std::vector<UniqueFd> handed;
  for (net::NetdPlan::Network network : layout.netd_networks()) {
    network.handed = !networks_.contains(network.number);
    if (network.handed)
      for (UniqueFd& socket : sockets_[network.number]) handed.push_back(std::move(socket));
    plan.networks.push_back(std::move(network));
  }
  std::vector<UniqueFd> last;
  for (auto& [name, member] : members_) {
    net::NetdPlan::Service one{name, !services_.contains(name), layout.networks_of(name)};
    if (one.networks.empty()) continue;
    if (one.handed)
      for (UniqueFd& socket : member.sockets) last.push_back(std::move(socket));
    plan.services.push_back(std::move(one));
  }
  plan.names = layout.netd_names();
  net::OutsidePlan outside;
  outside.resolvers = net::resolvers(read_file("/etc/resolv.conf", 1u << 20).value_or(""));
  outside.own = layout.own();
  for (auto& [service, port] : layout.host_ports()) {
    if (!service.empty()) {
      const auto found = wanted.listeners.find(service);
      if (found == wanted.listeners.end() || found->second.sockets.empty()) continue;
      port.outside = found->second.at;
      port.sockets.assign(found->second.sockets.begin(), found->second.sockets.end());
    }
    outside.host_ports.push_back(port);
  }
  // A service whose namespace is another one now, and a port that stands in a new one's way: netd
  // lets go of the earlier one first.
  const bool moved = std::any_of(plan.ports.begin(), plan.ports.end(), [&](const auto& port) {
    return port.handed && std::any_of(ports_.begin(), ports_.end(), [&](const auto& known) {
             return in_the_way(known, port.key());
           });
  });
  Result<void> bound;
  auto told = [&]() -> Result<void> {
    TRY(netd_->outside().plan(outside.to_text()));
    if (std::exchange(replaced_, false) || moved) TRY(tell_known(plan));
    bound = bind(plan, *wanted.plan, needed, handed);
    for (UniqueFd& socket : last) handed.push_back(std::move(socket));
    return netd_->connections().plan(plan.to_text(), handed);
  }();
  if (!told) {
    // What it has of this nobody knows: another one is started by the next call.
    netd_->end();
    before_.reset();
    return std::move(told).error().with_context("project " + project_ + "'s network");
  }
  if (before_) before_->retire();
  before_.reset();
  sockets_.clear();
  reserved_.clear();  // of those that are not wanted any more
  for (auto& [name, member] : members_) member.sockets.clear();
  note_told(plan);
  return bound;
}

/// Takes the service's ports that netd lacks, for it.
/// @return false: what netd has stands in the way of one, so that it has to let go first
///         Errc::unavailable: one is in use
Result<bool> ProjectNetwork::reserve(const NetworkPlan& plan, const std::string& service) {
  for (const PublishedPort& port : plan.ports) {
    const auto key = published_key(port);
    if (port.service != service || ports_.contains(key) || reserved_.contains(key)) continue;
    if (std::any_of(ports_.begin(), ports_.end(),
                    [&](const auto& known) { return in_the_way(known, key); }))
      return false;
    auto listener = port.udp ? net::bind_udp(port.outside) : net::listen_tcp(port.outside);
    if (!listener) return deps_.explain(listener.error(), port);
    reserved_.emplace(key, std::move(*listener));
  }
  return true;
}

ProjectNetwork::Lacking ProjectNetwork::lacking() const {
  const std::lock_guard lock(wanted_mutex_);
  return lacking_;
}

std::optional<std::string> ProjectNetwork::publisher(const net::AddressAndPort& port,
                                                     bool udp) const {
  const Wanted wanted = this->wanted();
  if (wanted.plan == nullptr) return std::nullopt;
  for (const PublishedPort& each : wanted.plan->ports)
    if (in_the_way(published_key(each), {udp, port})) return each.service;
  return std::nullopt;
}

}  // namespace locald::server
