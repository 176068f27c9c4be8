#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/json/fields.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// A process of a project's network that outlives the server, as its record names it.
struct RecordedProcess {
  int pid = 0;
  std::uint64_t start_time = 0;  ///< clock ticks since boot
  std::string boot_id;
  static const Fields& fields();

  /// @return Errc::not_found: `pid` has ended.
  static Result<RecordedProcess> of(pid_t pid);
  /// Its pidfd, proven (R-PID). @return Errc::not_found: it has ended, or the machine has since.
  Result<UniqueFd> open() const;
};

/// Kills it, and waits for its end, a second at most.
void end_process(int pidfd);

}  // namespace locald::server
