#pragma once
#include <memory>
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
  net::Attachment::Kind attachment = net::Attachment::Kind::host;
  std::string text = net::HostNetwork::kName;  ///< as --network has it; "own"
  std::vector<std::string> ports;              ///< as -p has them; those that were chosen too
  // Of one that is connected.
  bool guest = false;   ///< in a project's network; else in one that nobody else is in
  std::string network;  ///< what Networks knows it by
  std::string range;    ///< addresses of one with nobody else; empty: not chosen yet
  std::shared_ptr<const project::ServiceConfig> config;  ///< the container, as a service

  bool connected() const noexcept { return config != nullptr; }
  std::vector<ipc::ServicePort> published() const;
};

/// Networks of containers that belong to no project. Loop thread only, where nothing else is said.
class ContainerNetworks {
 public:
  /// As --network has it: a network of its own, which is the default.
  static constexpr const char* kOwn = "own";

  /// Both are borrowed. @param host  whose ports are published
  ContainerNetworks(Networks& networks, net::Network& host) : networks_(networks), host_(host) {}

  /// What is meant, with its ports chosen. Changes nothing.
  /// @param network  as --network has it: "own", "host", "none", PROJECT or PROJECT/NETWORK
  /// @param ports    as -p has them
  /// @return Errc::invalid_input, Errc::not_found: there is no such network, or its name is taken
  Result<ContainerNetwork> find(const std::string& id, const std::string& name,
                                const std::string& network,
                                const std::vector<std::string>& ports) const;

  /// From now on it is wanted; its range is the one that it has, or is chosen.
  Result<void> enter(ContainerNetwork& container);
  /// Connects it. @return Errc::unavailable: a port is in use. Any thread; blocks.
  Result<net::Attachment> attach(const ContainerNetwork& container, const std::stop_token& stop);
  /// It runs: its ports lead to it; false: it has ended.
  void set_running(const ContainerNetwork& container, bool running);
  /// Of one that runs since an earlier server's time, before projects are restored: its place stays.
  void expect(const std::string& id, const std::string& name, const std::string& network);
  /// As enter(), of one that runs since an earlier server's time.
  Result<void> adopt(ContainerNetwork& container, int shim_pid);
  /// It is not wanted any more, and connected to nothing. What it had alone is ended by end().
  void leave(ContainerNetwork& container);
  /// Ends what the container had alone. Any thread; blocks.
  void end(const std::string& id);

 private:
  Result<project::PortConfig> choose(project::PortConfig port) const;

  Networks& networks_;
  net::Network& host_;
};

}  // namespace locald::server
