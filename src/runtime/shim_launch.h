#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/process_runtime.h"
#include "runtime/shim_handle.h"
#include "runtime/shim_record.h"
#include "runtime/shim_spec.h"

namespace locald::runtime {

/// One shim to be started: its folder svc/<id> stands, the spec lacks only what all instances
/// share.
struct ShimLaunch {
  const Paths& paths;
  const InstanceSpec& instance;
  std::string kind;    ///< "host", "container", "exec"
  std::string shim;    ///< path of locald-shim
  std::string folder;  ///< svc/<id>
  ShimSpec spec;
  /// From shim::kShimExtra on; borrowed.
  std::vector<int> extra_fds = {};
  int join_fd = -1;  ///< user namespace or pidfd, see shim/protocol.h; borrowed
  std::vector<WritableFolder> writable = {};
};

/// Starts the shim and waits until it has taken over. On error no process of it is left; the folder
/// is the caller's.
Result<std::unique_ptr<ShimHandle>> launch_shim(ShimLaunch launch);

/// Connects to the shim of a record as the server, proven (R-PID).
/// @return Errc::not_found    it has ended
///         Errc::unavailable  it lives, and cannot be spoken to now: the message says why
Result<std::unique_ptr<ShimHandle>> connect_shim(InstanceRecord record);

/// Who listens at the control socket in `folder`: a shim says itself what instance.json says. An
/// older one does not; then what /proc tells of it, without its life and restarts.
/// @return Errc::not_found where nobody listens.
Result<InstanceRecord> ask_shim(const std::string& folder, const std::string& id);

}  // namespace locald::runtime
