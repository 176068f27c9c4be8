#include "net/endpoint.h"

#include <algorithm>

namespace locald::net {
namespace {

/// Those of `all` that the kernel chooses among for a connection to `address`: what listens on
/// exactly that, else on all addresses.
std::vector<const Listener*> takers(const std::string& address, const std::vector<Listener>& all) {
  const bool v6 = address.find(':') != std::string::npos;
  std::vector<const Listener*> exact, any;
  for (const Listener& l : all) {
    if (l.address == address || (!v6 && l.address == "::ffff:" + address))
      exact.push_back(&l);
    else if (l.any() && (v6 ? l.v6() : !l.v6() || l.dual))
      any.push_back(&l);
  }
  return exact.empty() ? any : exact;
}

}  // namespace

std::string Endpoint::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::set<ino_t> EndpointLook::own() const {
  std::set<ino_t> out;
  for (const ino_t socket : sockets)
    if (!strangers.contains(socket)) out.insert(socket);
  return out;
}

EndpointLook choose_endpoint(std::uint16_t port, const std::vector<Listener>& all,
                             const TreeListeners& own) {
  EndpointLook look;
  const auto is_own = [&](const Listener& l) {
    return (own.unreadable.contains(l.uid) && !own.others.contains(l.inode)) ||
           std::any_of(own.listeners.begin(), own.listeners.end(),
                       [&](const Listener& o) { return o.inode == l.inode && o.netns == l.netns; });
  };
  std::vector<std::string> addresses{kLoopback, "::1"};
  for (const Listener& l : all) {
    look.sockets.insert(l.inode);
    if (!is_own(l))
      look.strangers.insert(l.inode);
    else if (!l.any())
      addresses.push_back(l.address);
  }
  for (const std::string& address : addresses) {
    const auto found = takers(address, all);
    if (found.empty() ||
        !std::all_of(found.begin(), found.end(), [&](const Listener* l) { return is_own(*l); }))
      continue;
    look.endpoint.emplace();
    look.endpoint->host = address;
    look.endpoint->port = port;
    break;
  }
  return look;
}

}  // namespace locald::net
