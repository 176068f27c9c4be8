#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

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

/// What stands in the environment of each of them ("NAME=value"): whose it is.
/// @param folder  Paths::network() of the project
std::string network_marker(const std::string& folder);
/// Ends those called `name…` with that marker: for one whose record cannot be read. Blocks: looks
/// through all of /proc.
void end_marked(std::string_view name, const std::string& folder);

}  // namespace locald::server
