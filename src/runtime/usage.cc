#include "runtime/usage.h"

#include <unistd.h>

#include <set>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "runtime/cgroups.h"
#include "runtime/processes.h"

namespace locald::runtime {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

/// The number behind `key` in lines of "key number" or "key: number".
std::optional<std::uint64_t> number_of(const std::string& text, std::string_view key) {
  for (const std::string& line : split(text, '\n')) {
    if (!line.starts_with(key)) continue;
    std::string_view rest = std::string_view(line).substr(key.size());
    if (rest.starts_with(":")) rest.remove_prefix(1);
    if (rest.starts_with(" ")) return parse_u64(rest.substr(1));
  }
  return std::nullopt;
}

/// The sum of what follows `key` in each line: "8:0 Read 4096" or "8:0 rbytes=4096 wbytes=0".
std::uint64_t sum_of(const std::string& text, std::string_view key) {
  std::uint64_t sum = 0;
  for (const std::string& line : split(text, '\n')) {
    const std::size_t at = line.find(key);
    if (at == std::string::npos) continue;
    const std::string rest = line.substr(at + key.size());
    sum += parse_u64(rest.substr(0, rest.find(' '))).value_or(0);
  }
  return sum;
}

void add(std::optional<std::uint64_t>& to, std::optional<std::uint64_t> more) {
  if (more) to = to.value_or(0) + *more;
}

std::optional<std::uint64_t> number_in(const std::string& file) {
  return parse_u64(std::string_view(file).substr(0, file.find('\n')));
}

}  // namespace

Result<Usage> usage_below(pid_t shim_pid) {
  static const std::uint64_t tick_ns = kSecond / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  Usage out;
  std::uint64_t ticks = 0;
  std::vector<pid_t> todo{shim_pid};
  std::set<pid_t> seen;
  while (!todo.empty()) {
    const pid_t pid = todo.back();
    todo.pop_back();
    if (!seen.insert(pid).second) continue;
    each_child(pid, [&](pid_t child) { todo.push_back(child); });
    const auto stat = process_stat(pid);
    if (!stat) continue;  // it has ended
    // A process that was reaped counts for the one that did it, the shim too.
    ticks += stat->children_ticks;
    if (pid == shim_pid) continue;
    ticks += stat->cpu_ticks;
    out.tasks += stat->threads;
    out.memory += stat->resident_pages * page;
    if (const auto io = read_file("/proc/" + std::to_string(pid) + "/io")) {
      add(out.read, number_of(*io, "read_bytes"));
      add(out.written, number_of(*io, "write_bytes"));
    }
  }
  if (seen.size() < 2) return Error(Errc::not_found, "no process runs");
  out.cpu_ns = ticks * tick_ns;
  return out;
}

std::optional<Usage> usage_of_cgroup(
    const std::function<std::string(std::string_view controller, std::string_view name)>& file) {
  Usage out{.cgroup = true};
  if (const auto microseconds = number_of(file("", "cpu.stat"), "usage_usec")) {  // v2
    const auto memory = number_in(file("", "memory.current"));
    const auto tasks = number_in(file("", "pids.current"));
    if (!memory || !tasks) return std::nullopt;
    out.cpu_ns = *microseconds * 1000;
    out.memory = *memory;
    out.tasks = *tasks;
    const std::string io = file("", "io.stat");
    out.read = sum_of(io, " rbytes=");
    out.written = sum_of(io, " wbytes=");
    return out;
  }
  const auto cpu = number_in(file("cpuacct", "cpuacct.usage"));
  const auto memory = number_in(file("memory", "memory.usage_in_bytes"));
  const auto tasks = number_in(file("pids", "pids.current"));
  if (!cpu || !memory || !tasks) return std::nullopt;
  out.cpu_ns = *cpu;
  out.memory = *memory;
  out.tasks = *tasks;
  if (const std::string io = file("blkio", "blkio.throttle.io_service_bytes"); !io.empty()) {
    out.read = sum_of(io, " Read ");
    out.written = sum_of(io, " Write ");
  }
  return out;
}

Result<Usage> usage_of(const std::string& id, pid_t shim_pid) {
  const auto usage = usage_of_cgroup([&](std::string_view controller, std::string_view name) {
    return cgroup_file(id, controller, name);
  });
  if (usage && usage->tasks != 0) return *usage;
  return usage_below(shim_pid);
}

}  // namespace locald::runtime
