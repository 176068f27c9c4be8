#include "project/resolve/low_ports.h"

#include <fmt/format.h>

namespace locald::project {
namespace {

constexpr int kLastPort = 65535;

}  // namespace

PortConfig LowPorts::moved(PortConfig port) const {
  if (by_ == 0 || port.port == 0 || port.port >= first_) return port;
  port.port += by_;
  if (port.last != 0) port.last += by_;
  return port;
}

Result<void> LowPorts::check(const PortConfig& port) const {
  if (port.port == 0 || port.port >= first_) return {};
  const PortConfig up = moved(port);
  const int end = up.last != 0 ? up.last : up.port;
  if (end > kLastPort)
    return Error(Errc::invalid_input,
                 fmt::format("low_ports moves port {} to {}: ports go to {}",
                             port.last != 0 ? port.last : port.port, end, kLastPort));
  if (up.port >= first_) return {};
  const int inside = port.container_port != 0 ? port.container_port : port.port;
  return Error(Errc::denied, fmt::format("port {} needs privileges", port.port))
      .with_hint(fmt::format(
          "write ports = [\"{}:{}\"], move all such ports with `locald up --low-ports=+8000` (or "
          "low_ports = \"+8000\" below [project]), or allow them: sudo sysctl "
          "net.ipv4.ip_unprivileged_port_start={}",
          port.port + 8000, inside, port.port));
}

}  // namespace locald::project
