#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ipc/messages/service.h"
#include "net/network.h"
#include "project/service_config.h"
#include "server/networks/networks.h"

namespace locald::server {

/// How a container of `container run` is connected.
struct ContainerNetwork {
  enum class Kind : std::uint8_t {
    host,
    none,
    own,     ///< a network with nobody else in it
    joined,  ///< one of a project's
  };
  Kind kind = Kind::host;
  std::string text = net::HostNetwork::kName;  ///< as --network has it; "own"
  std::vector<std::string> ports;              ///< as -p has them; those that were chosen too
  std::string network;                         ///< own, joined: what Networks knows it by
  std::shared_ptr<const project::ServiceConfig> config;  ///< own, joined: it, as a service

  bool connected() const noexcept { return config != nullptr; }
  std::vector<ipc::ServicePort> published() const;
};

/// Networks of containers that belong to no project. Loop thread only, where nothing else is said.
class ContainerNetworks {
 public:
  /// As --network has it: a network of its own, which is the default.
  static constexpr const char* kOwn = "own";

  /// @param free_port  chooses one of the host's
  ContainerNetworks(Networks& networks, net::Network& host) : networks_(networks), host_(host) {}

  /// What is meant, with its ports chosen. Changes nothing.
  /// @param network  as --network has it: "own", "host", "none", PROJECT or PROJECT/NETWORK
  /// @param ports    as -p has them
  /// @return Errc::invalid_input, Errc::not_found: there is no such network, or its name is taken
  Result<ContainerNetwork> find(const std::string& id, const std::string& name,
                                const std::string& network,
                                const std::vector<std::string>& ports) const;

  /// From now on it is wanted.
  Result<void> enter(const ContainerNetwork& container);
  /// Connects it. @return Errc::unavailable: a port is in use. Any thread; blocks.
  Result<net::Attachment> attach(const ContainerNetwork& container, const std::stop_token& stop);
  /// It runs: its ports lead to it; false: it has ended.
  void set_running(const ContainerNetwork& container, bool running);
  /// Of one that runs since an earlier server's time, before projects are restored: its place stays.
  void expect(const std::string& id, const std::string& name, const std::string& network);
  /// As enter(), of one that runs since an earlier server's time.
  Result<void> adopt(const ContainerNetwork& container, int shim_pid);
  /// It is not wanted any more. What it had alone is ended by end().
  void leave(const ContainerNetwork& container);
  /// Ends what the container had alone. Any thread; blocks.
  void end(const std::string& id);

 private:
  Result<project::PortConfig> choose(project::PortConfig port) const;

  Networks& networks_;
  net::Network& host_;
};

}  // namespace locald::server
