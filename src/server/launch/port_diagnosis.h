#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "net/network.h"
#include "net/ports.h"

namespace locald::server {

/// Says whose a port is, in the words of people: services by their names. Thread-safe.
class PortDiagnosis {
 public:
  /// Whose published port it is that the process `pid` holds, where that is a netd of this server's
  /// or the server itself. Any thread.
  using FindPublisher = std::function<std::optional<net::PortPublisher>(
      int pid, const net::AddressAndPort& port, bool udp)>;
  explicit PortDiagnosis(FindPublisher find = {}) : find_(std::move(find)) {}

  /// From now on what runs below `shim_pid` is the service `name` ("shop/web"), until forget().
  void remember(int shim_pid, const std::string& instance, const std::string& name);
  void forget(const std::string& instance);

  /// "service shop/web (pid 4711 (…), user alice)", "service web of project shop, which publishes
  /// it".
  std::string describe(const std::optional<net::PortHolder>& holder, std::uint16_t port,
                       bool udp = false) const;

  /// Fine where a server can listen on `port` of `network` now. Blocks: looks through /proc where it cannot.
  /// @return Errc::unavailable: somebody has it, who is named; else as Network::check_port_free().
  Result<void> check_free(const net::Network& network, std::uint16_t port) const;
  /// Why `at` cannot be published: `error` is what the kernel said. Blocks as check_free().
  Error explain(const Error& error, const net::AddressAndPort& at, bool udp) const;

 private:
  std::optional<net::PortPublisher> publisher(const net::PortHolder& holder, std::uint16_t port,
                                              bool udp) const;
  Error in_use(const std::optional<net::PortHolder>& holder, std::uint16_t port, bool udp) const;

  FindPublisher find_;
  mutable std::mutex mutex_;
  std::map<int, std::string> names_;    // shim's pid -> "shop/web"
  std::map<std::string, int> shim_of_;  // instance -> shim's pid
};

}  // namespace locald::server
