#include "server/networks/port_choice.h"

#include <fmt/format.h>

namespace locald::server {
namespace {

constexpr int kTries = 1000;

}  // namespace

Result<int> choose_port(net::Network& network, int first, int last,
                        const std::function<bool(int port)>& taken) {
  for (int port = first; last != 0 && port <= last; ++port)
    if (!taken(port) && network.check_port_free(static_cast<std::uint16_t>(port))) return port;
  if (last != 0)
    return Error(Errc::unavailable, fmt::format("none of the ports {}-{} is free", first, last))
        .with_hint("write a larger range, or one port");
  for (int tries = 0; tries < kTries; ++tries)
    if (const int port = TRY(network.free_port()); !taken(port)) return port;
  return Error(Errc::unavailable, "no free port was found")
      .with_hint("stop what listens on so many, or write a port");
}

}  // namespace locald::server
