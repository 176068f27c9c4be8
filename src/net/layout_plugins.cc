// The part of a layout that CNI plugins make.
#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "net/layout.h"

namespace locald::net {
namespace {

std::string mac_text(const IpAddress& address) {
  std::string out;
  for (const std::uint8_t byte : mac_of(address))
    out += (out.empty() ? "" : ":") + to_hex(&byte, 1);
  return out;
}

}  // namespace

std::vector<PluginPlace> Layout::plugin_places(const std::string& name) const {
  std::vector<PluginPlace> out;
  const Service* service = find(name);
  if (service == nullptr) return out;
  for (std::size_t number = 0; number < service->places.size(); ++number) {
    const Placed& placed = service->places[number];
    const Net& net = nets_[placed.network];
    if (!net.layout.plugins) continue;
    out.push_back({.network = net.layout.number,
                   .link = "eth" + std::to_string(number),
                   .addresses = placed.planned,
                   .mac = placed.planned.empty() ? "" : mac_text(placed.planned.front().address)});
  }
  return out;
}

Result<void> Layout::set_found(const std::string& name, std::uint32_t number, FoundPlace found) {
  for (Service& service : services_) {
    if (service.layout.name != name) continue;
    for (Placed& placed : service.places) {
      Net& net = nets_[placed.network];
      if (net.layout.number != number || !net.layout.plugins) continue;
      for (const Subnet& address : found.addresses)
        for (const Net& other : nets_)
          for (const Subnet& theirs : other.own())
            if (&other != &net && theirs.overlaps(address))
              return Error(Errc::invalid_input,
                           "network " + net.layout.name + ": its plugins gave " + name +
                               " the address " + address.text() + ", which network " +
                               other.layout.name + " has (" + theirs.text() + ")")
                  .with_hint("change the addresses of one of them");
      for (const Subnet& gateway : found.gateways)
        if (std::find(net.found.begin(), net.found.end(), gateway) == net.found.end())
          net.found.push_back(gateway);
      placed.addresses = found.addresses;
      placed.found = std::move(found);
      return {};
    }
  }
  return {};
}

}  // namespace locald::net
