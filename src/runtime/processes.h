#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"

/// Processes of this machine, as /proc shows them. A pid is used with a proof alone (R-PID).
namespace locald::runtime {

struct ProcessStat {
  std::string name;  ///< at most 15 bytes; the process can set it
  char state = '?';  ///< 'Z': ended, not reaped
  pid_t parent = 0, session = 0;
  std::uint64_t start_time = 0;                     ///< clock ticks since boot
  std::uint64_t cpu_ticks = 0, children_ticks = 0;  ///< its own, and of those that it reaped
  std::uint64_t threads = 0, resident_pages = 0;
};
/// nullopt when there is no such process.
std::optional<ProcessStat> process_stat(pid_t pid);

/// The process `pid`, if it is the one that started at `start_time`.
/// @return Errc::not_found  it is not, or has ended
///         anything else    it cannot be looked at now (no descriptor): nothing is known
Result<UniqueFd> open_process(pid_t pid, std::uint64_t start_time);

/// Of this boot, as the kernel names it; empty if unreadable, and remembered once it was not.
std::string boot_id();

/// Calls `visit` with each process in /proc that `uid` owns (every one for root).
/// @return false where they could not all be looked at.
bool each_process(const std::function<void(pid_t)>& visit);
/// The children of `pid`.
void each_child(pid_t pid, const std::function<void(pid_t)>& visit);

/// True if the environment that `pid` was executed with holds "name=value".
bool environment_has(pid_t pid, const std::string& pair);

/// SIGKILL for `pid` and everything below it, leaves first.
void kill_tree(pid_t pid);
/// The same for a process that is held by `pidfd`, if it has not ended. @return whether it was
/// there.
bool kill_tree(pid_t pid, int pidfd);

}  // namespace locald::runtime
