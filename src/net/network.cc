#include "net/network.h"

#include "net/ports.h"

namespace locald::net {

Result<Attachment> HostNetwork::attach(const AttachRequest& request) {
  Attachment out;
  out.addresses = {kLoopback};
  for (const AttachRequest::Peer& peer : request.peers)
    out.names[peer.name] = {peer.endpoint.value_or(Endpoint()).host};
  return out;
}

Result<void> HostNetwork::check_port_free(std::uint16_t port) const {
  return net::check_port_free(port);
}

Result<std::uint16_t> HostNetwork::free_port() const { return net::free_port(); }

Result<std::vector<Listener>> HostNetwork::listeners(std::uint16_t port) const {
  return net::listeners(port);
}

Result<std::vector<Listener>> HostNetwork::quick_listeners(std::uint16_t port) const {
  return net::quick_listeners(port);
}

}  // namespace locald::net
