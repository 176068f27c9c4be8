#pragma once
#include "ipc/messages/common.h"

namespace locald::ipc {

/// What a service of kind cnb runs. Absent: not known yet.
struct ServiceApp {
  std::string name, path;
  std::optional<std::string> process;  ///< absent: the default one
  std::optional<std::uint64_t> generation;
  std::optional<std::string> built_at;
  std::vector<std::string> live;
  static const Fields& fields();
};

/// A port of the host's that leads to a service.
struct ServicePort {
  std::string address;
  int port = 0, container_port = 0;
  std::string protocol = "tcp";
  static const Fields& fields();
};

/// A network that a service is in.
struct ServiceNetwork {
  std::string name, address;
  static const Fields& fields();
};

/// One service, as `status` and state events have it.
struct ServiceStatus {
  std::string name, kind, state, health;
  bool managed = true;  ///< false: of an earlier server, whose record of it is lost
  std::optional<int> pid, shim_pid, port;
  std::optional<std::string> url;
  std::optional<int> exit_code;
  std::optional<std::string> signal;
  int restarts = 0;
  std::optional<std::string> started_at, reason;
  std::string network;
  std::optional<int> container_port;
  std::vector<ServicePort> ports;
  std::vector<ServiceNetwork> networks;
  std::optional<ServiceApp> app;
  static const Fields& fields();
};

}  // namespace locald::ipc
