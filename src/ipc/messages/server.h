#pragma once
#include "ipc/messages/common.h"

/// Requests about the server itself, and their replies. `version` and `server/stop` are asked of
/// servers of any build, so the form of both and of their replies stays as it is for ever, and they
/// are read tolerantly.
namespace locald::ipc {

struct VersionReply {
  std::string version, build;
  int pid = 0;
  std::uint64_t jobs = 0;  ///< in progress: a restart would end them
  static const Fields& fields();
};

struct ServerPaths {
  std::string data, state, run;
  static const Fields& fields();
};

struct ServerStatusReply {
  int pid = 0;
  std::string version, build;
  std::int64_t uptime_s = 0;
  std::uint64_t projects = 0, services = 0, containers = 0, jobs = 0;
  ServerPaths paths;
  std::optional<std::string> id_map;
  static const Fields& fields();
};

struct ServerStopReply {
  std::uint64_t services_left = 0;  ///< and containers
  static const Fields& fields();
};

struct DoctorCheck {
  std::string name, status, message, hint;
  static const Fields& fields();
};

struct DoctorReply {
  std::vector<DoctorCheck> checks;
  static const Fields& fields();
};

struct VersionRequest {
  static constexpr const char* kName = "version";
  using Reply = VersionReply;
  static const Fields& fields();
};

struct ServerStatusRequest {
  static constexpr const char* kName = "server/status";
  using Reply = ServerStatusReply;
  static const Fields& fields();
};

struct ServerStopRequest {
  static constexpr const char* kName = "server/stop";
  using Reply = ServerStopReply;
  bool all = false;
  static const Fields& fields();
};

struct DoctorRequest {
  static constexpr const char* kName = "doctor";
  using Reply = DoctorReply;
  static const Fields& fields();
};

}  // namespace locald::ipc
