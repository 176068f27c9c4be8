#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

/// What the processes of an instance take of the machine.
namespace locald::runtime {

/// Numbers since the instance's start, but for memory and tasks, which are those of the moment.
struct Usage {
  std::uint64_t cpu_ns = 0;
  std::uint64_t memory = 0;  ///< bytes: resident; of a cgroup what it is charged with
  std::uint64_t tasks = 0;   ///< processes and threads
  /// Bytes from and to devices; nullopt: not known to this user, or to this kernel.
  std::optional<std::uint64_t> read, written;
  bool cgroup = false;  ///< of its cgroup, else the sum over its processes
};

/// Of the cgroup of instance `id` where it has one (root alone, cgroups.h), else of all processes
/// below its shim. A page that processes share then counts for each. Blocks: some 20 µs a process.
/// @return Errc::not_found: nothing of it runs
Result<Usage> usage_of(const std::string& id, pid_t shim_pid);

/// Of the processes below `shim_pid`.
Result<Usage> usage_below(pid_t shim_pid);

/// Of a cgroup, with the file `name` of its folder (a controller of cgroup v1, or v2) read by
/// `file`: "" where there is none. @return nullopt: it does not tell of processor time and memory.
std::optional<Usage> usage_of_cgroup(
    const std::function<std::string(std::string_view controller, std::string_view name)>& file);

}  // namespace locald::runtime
