#pragma once
#include <cstdint>
#include <string>

namespace locald::server {

/// Where a service is reached: launch, probes, ports and `${services.*}` all go
/// through this, so that other networks than the host's fit in later.
struct Endpoint {
  int netns = -1;  ///< descriptor of the network namespace, borrowed; -1: the host's
  std::string host = "127.0.0.1";  ///< an address, never a name
  std::uint16_t port = 0;

  std::string url() const { return "http://" + host + ":" + std::to_string(port); }
};

}  // namespace locald::server
