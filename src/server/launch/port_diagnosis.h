#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/network.h"
#include "net/ports.h"

namespace locald::server {

/// Says whose a port is, in the words of people: services by their names. Thread-safe.
class PortDiagnosis {
 public:
  /// From now on what runs below `shim_pid` is the service `name` ("shop/web"), until forget().
  void remember(int shim_pid, const std::string& instance, const std::string& name);
  void forget(const std::string& instance);

  /// "service shop/web (pid 4711 (…), user alice)".
  std::string describe(const std::optional<net::PortHolder>& holder) const;

  /// Fine where a server can listen on `port` of `network` now. Blocks: looks through /proc where it cannot.
  /// @return Errc::unavailable: somebody has it, who is named; else as Network::check_port_free().
  Result<void> check_free(const net::Network& network, std::uint16_t port) const;

 private:
  mutable std::mutex mutex_;
  std::map<int, std::string> names_;    // shim's pid -> "shop/web"
  std::map<std::string, int> shim_of_;  // instance -> shim's pid
};

}  // namespace locald::server
