#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The processes of an instance, as people look at them.
namespace locald::runtime {

struct ListedProcess {
  pid_t pid = 0, parent = 0;
  std::optional<int> pid_inside;  ///< where it has a pid namespace of its own
  std::uint64_t uid = 0;          ///< as its own user namespace counts
  char state = '?';
  std::uint64_t cpu_ns = 0, memory = 0, threads = 0;
  std::int64_t up_s = 0;
  std::string command;  ///< its words with blanks in between; any bytes
};

/// All below `shim_pid`, parents first. Blocks: some 50 µs a process.
std::vector<ListedProcess> processes_below(pid_t shim_pid);

}  // namespace locald::runtime
