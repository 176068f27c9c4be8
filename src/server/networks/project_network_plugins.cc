// What CNI plugins make of a project's network.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "net/cni/conflist.h"
#include "server/networks/project_network.h"

namespace locald::server {
namespace {

/// What plugins may be told of a service's place (spec: CNI's conventions, "Well-known
/// Capabilities"); each is told what it says that it takes.
Json capabilities_of(const net::PluginPlace& place, const std::vector<PublishedPort>& ports,
                     const std::string& service, const net::Conflist& list) {
  Json out = Json::object();
  if (!place.addresses.empty()) {
    Json ips = Json::array();
    for (const net::Subnet& address : place.addresses) ips.push(address.text());
    out.set("ips", std::move(ips));
  }
  if (!place.mac.empty()) out.set("mac", place.mac);
  if (!list.takes("portMappings")) return out;
  // The host's addresses are not the sandbox's: there a port leads from any.
  std::set<std::pair<bool, std::uint16_t>> told;
  Json mappings = Json::array();
  for (const PublishedPort& port : ports)
    if (port.service == service && told.emplace(port.udp, port.outside.port).second)
      mappings.push(Json::object({{"hostPort", port.outside.port},
                                  {"containerPort", port.inside},
                                  {"protocol", port.udp ? "udp" : "tcp"}}));
  if (!mappings.as_array().empty()) out.set("portMappings", std::move(mappings));
  return out;
}

bool same_place(const CniPlace& one, const CniPlace& other) {
  return one.number == other.number && one.link == other.link && one.conflist == other.conflist &&
         one.capabilities == other.capabilities;
}

}  // namespace

/// With wanted_mutex_ held.
void ProjectNetwork::plan_with_found() {
  wanted_.plan = defined_;
  if (defined_ == nullptr || defined_->plugins.empty() || found_.empty()) return;
  auto plan = std::make_shared<NetworkPlan>(*defined_);
  // One that does not fit any more is connected again by its next start.
  for (const auto& [key, found] : found_)
    (void)plan->layout.set_found(key.first, key.second, found);
  wanted_.plan = std::move(plan);
}

/// As they are to be.
std::vector<CniPlace> ProjectNetwork::plugin_places(const NetworkPlan& plan,
                                                    const std::string& service) const {
  std::vector<CniPlace> out;
  for (const net::PluginPlace& each : plan.layout.plugin_places(service)) {
    const auto plugins = plan.plugins.find(each.network);
    const auto list = plugins == plan.plugins.end()
                          ? Result<net::Conflist>(Error(Errc::not_found, "no plugins"))
                          : net::Conflist::parse(plugins->second.conflist);
    if (!list) continue;
    CniPlace place;
    place.service = service;
    place.network = plugins->second.network;
    place.number = each.network;
    place.link = each.link;
    place.conflist = plugins->second.conflist;
    place.capabilities = capabilities_of(each, plan.ports, service, *list);
    out.push_back(std::move(place));
  }
  return out;
}

/// Continues with what an earlier server's plugins have made.
void ProjectNetwork::adopt_plugins() {
  places_.load();
  std::map<std::string, std::shared_ptr<const UniqueFd>> namespaces;
  for (const auto& [name, member] : members_) namespaces[name] = member.netns;
  places_.take(namespaces);
  const std::lock_guard lock(wanted_mutex_);
  for (const CniPlace& place : places_.all())
    if (place.netns != nullptr)
      if (auto found = place.found()) found_[{place.service, place.number}] = std::move(*found);
  plan_with_found();
}

/// Before a start of a service that is connected already: one whose plugins do not find it as they
/// left it gets a new namespace.
Result<void> ProjectNetwork::check_plugins(const Wanted& wanted, const std::string& service,
                                           const std::stop_token& stop) {
  if (wanted.plan->plugins.empty() && places_.all().empty()) return {};
  places_.load();
  if (sandbox_ == nullptr || !members_.contains(service)) return {};
  const bool unstarted = unstarted_.erase(service) != 0;
  bool fits = true;
  for (const CniPlace& place : plugin_places(*wanted.plan, service)) {
    const CniPlace* known = places_.find(service, place.number);
    fits = fits && known != nullptr && known->connected() && same_place(*known, place);
  }
  if (fits && unstarted) return {};
  if (fits) {
    const auto fine = places_.check(sandbox_->get(), service, stop);
    if (fine) return {};
    if (stop.stop_requested()) return fine;
    deps_.log(fmt::format("network of {}: {} is connected again: {}", project_, service,
                          fine.error().text()));
  }
  const auto of_service = [&](const CniPlace& place) { return place.service == service; };
  TRY(places_.remove(sandbox_->get(), of_service, stop));
  members_.erase(service);
  replaced_ = services_.erase(service) != 0 || replaced_;
  const std::lock_guard lock(wanted_mutex_);
  std::erase_if(found_, [&](const auto& entry) { return entry.first.first == service; });
  plan_with_found();
  return {};
}

/// @param others  Those that are about to be up are connected too, as far as that works: their own
///                start tells what does not.
Result<void> ProjectNetwork::connect_plugins(const Wanted& wanted, const std::string& service,
                                             bool others, const std::stop_token& stop) {
  const NetworkPlan& plan = *wanted.plan;
  places_.load();
  const auto is_stale = [&](const CniPlace& place) {
    const auto member = members_.find(place.service);
    if (member == members_.end() || member->second.netns != place.netns) return true;
    const auto gate = wanted.gates.find(place.service);
    const bool closed = gate == wanted.gates.end() || gate->second == Gate::closed;
    const auto places = plan.layout.plugin_places(place.service);
    return closed && std::none_of(places.begin(), places.end(),
                                  [&](const auto& each) { return each.network == place.number; });
  };
  TRY(places_.remove(sandbox_->get(), is_stale, stop));
  const auto lacking = [&](const std::string& name) {
    std::vector<CniPlace> out;
    const auto member = members_.find(name);
    if (member == members_.end()) return out;
    for (CniPlace& place : plugin_places(plan, name)) {
      if (places_.find(name, place.number) != nullptr) continue;
      place.container = fmt::format("{}.{}.{}", project_, name, random_hex(4));
      place.netns = member->second.netns;
      out.push_back(std::move(place));
    }
    return out;
  };
  if (!service.empty()) {
    TRY(add_places(service, lacking(service), stop));
    unstarted_.erase(service);  // its start is what this is for
  }
  if (!others) return {};
  for (const std::string& other : plan.layout.containers())
    if (other != service)
      if (const auto added = add_places(other, lacking(other), stop); !added) {
        deps_.log(fmt::format("network of {}: {}: {}", project_, other, added.error().text()));
        // The next one would wait for the same.
        break;
      }
  return {};
}

/// The places of one service.
Result<void> ProjectNetwork::add_places(const std::string& service, std::vector<CniPlace> places,
                                        const std::stop_token& stop) {
  if (places.empty()) return {};
  std::vector<std::string> networks;
  for (const CniPlace& place : places) networks.push_back(place.network);
  auto added = TRY(places_.add(sandbox_->get(), std::move(places), stop));
  Result<void> done;
  for (std::size_t i = 0; i < added.size(); ++i)
    if (!added[i] && done)
      done = std::move(added[i]).error().with_context("network " + networks[i]);
  {
    const std::lock_guard lock(wanted_mutex_);
    for (const CniPlace& place : places_.all()) {
      if (place.service != service || !place.connected()) continue;
      auto found = place.found();
      auto fits = found ? Result<void>() : Result<void>(found.error());
      if (found && defined_ != nullptr && wanted_.plan != nullptr) {
        NetworkPlan plan = *wanted_.plan;
        fits = plan.layout.set_found(service, place.number, *found);
      }
      if (fits)
        found_[{service, place.number}] = std::move(*found);
      else if (done)
        done = fits;
    }
    plan_with_found();
  }
  if (done) {
    unstarted_.insert(service);
    return done;
  }
  // All of its places or none.
  (void)places_.remove(
      sandbox_->get(), [&](const CniPlace& place) { return place.service == service; }, stop);
  const std::lock_guard lock(wanted_mutex_);
  std::erase_if(found_, [&](const auto& entry) { return entry.first.first == service; });
  plan_with_found();
  return done;
}

}  // namespace locald::server
