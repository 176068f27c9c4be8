#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/listeners.h"

namespace locald::net {

/// The address of this machine that most servers listen on.
inline constexpr const char* kLoopback = "127.0.0.1";

/// Where a service is reached, on the host's network: its `url` and `${services.*}` come from this,
/// and its probes ask here. Until the service has been found to listen (choose_endpoint), it is
/// kLoopback.
struct Endpoint {
  std::string host = kLoopback;  ///< an address, never a name
  std::uint16_t port = 0;

  std::string authority() const;  ///< "127.0.0.1:8080", "[::1]:8080"
  std::string url() const { return "http://" + authority(); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// What a look at the port of a service has found.
struct EndpointLook {
  std::optional<Endpoint> endpoint;  ///< where the service itself takes connections
  /// All sockets that listen on the port: as long as they are the same, so is the answer.
  std::set<ino_t> sockets;
  std::set<ino_t> strangers;    ///< of these: not the service's
  std::set<ino_t> own() const;  ///< the others
  std::string whose;            ///< without an endpoint: who the strangers are, for people
};

/// Chooses where to reach a service: 127.0.0.1, ::1, or else the address that it listens on, the
/// first of these at which the kernel gives a new connection to a socket of the service, and to no
/// other. A socket is its own where a process below its shim has it open; where such processes may
/// not be looked into (`own.unreadable`: sudo), what their users listen on counts as its own, unless
/// somebody else is known to hold it. Pure; `whose` stays empty.
/// @param all  the listeners of the host's network on `port`.
EndpointLook choose_endpoint(std::uint16_t port, const std::vector<Listener>& all,
                             const TreeListeners& own);

}  // namespace locald::net
