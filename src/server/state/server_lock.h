#pragma once
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// What lets one server live: STATE/server.lock, which is one for all run folders of that state
/// folder and outlives a run folder that is deleted, and RUN/server.lock, which is all that servers
/// of older versions know. Before both, where that can be had, the lasting folder (ipc/
/// living_server.h): it stays when the other two are deleted together.
class ServerLock {
 public:
  /// @return Errc::already_exists naming the other server.
  static Result<ServerLock> take(const Paths& paths);

  /// Takes again what does not have its name any more.
  /// @return Errc::already_exists: another server was faster.
  Result<void> renew(const Paths& paths);

 private:
  Result<void> take_lasting(const Paths& paths);

  UniqueFd lasting_, state_, run_;
};

}  // namespace locald::server
