#pragma once
#include "ipc/messages/common.h"

/// Requests about the server itself. `version` and `server/stop` are asked of servers of any build,
/// so their form stays as it is for ever, and they are read tolerantly.
namespace locald::ipc {

struct VersionRequest {
  static constexpr const char* kName = "version";
  static const Fields& fields();
};

struct ServerStatusRequest {
  static constexpr const char* kName = "server/status";
  static const Fields& fields();
};

struct ServerStopRequest {
  static constexpr const char* kName = "server/stop";
  bool all = false;
  static const Fields& fields();
};

struct DoctorRequest {
  static constexpr const char* kName = "doctor";
  static const Fields& fields();
};

}  // namespace locald::ipc
