#include "runtime/process_list.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "runtime/processes.h"

namespace locald::runtime {
namespace {

constexpr std::size_t kMaxCommand = 4096;  // bytes

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ' && c != '\t')
      word += c;
    else if (!word.empty())
      out.push_back(std::exchange(word, {}));
  }
  return out;
}

/// The line of proc(5), status, that begins with `key`: what follows, in words.
std::vector<std::string> line_of(const std::string& status, std::string_view key) {
  for (const std::string& line : split(status, '\n'))
    if (line.starts_with(key)) return words_of(line.substr(key.size()));
  return {};
}

/// The number that the user namespace of `proc` has for the host's `uid`.
std::uint64_t inside_of(const std::string& proc, std::uint64_t uid) {
  for (const std::string& line : split(read_file(proc + "/uid_map").value_or(""), '\n')) {
    const auto words = words_of(line);
    if (words.size() != 3) continue;
    const auto inside = parse_u64(words[0]), outside = parse_u64(words[1]),
               count = parse_u64(words[2]);
    if (inside && outside && count && uid >= *outside && uid - *outside < *count)
      return *inside + (uid - *outside);
  }
  return uid;
}

ListedProcess listed(pid_t pid, const ProcessStat& stat) {
  static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::string proc = "/proc/" + std::to_string(pid);
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  ListedProcess out{.pid = pid,
                    .parent = stat.parent,
                    .state = stat.state,
                    .cpu_ns = stat.cpu_ticks * (1'000'000'000 / ticks),
                    .memory = stat.resident_pages * page,
                    .threads = stat.threads,
                    .up_s = std::max<std::int64_t>(
                        0, now.tv_sec - static_cast<std::int64_t>(stat.start_time / ticks))};
  const std::string status = read_file(proc + "/status").value_or("");
  if (const auto uids = line_of(status, "Uid:"); uids.size() > 1)
    out.uid = inside_of(proc, parse_u64(uids[1]).value_or(0));
  if (const auto pids = line_of(status, "NSpid:"); pids.size() > 1)
    if (const auto inside = parse_u64(pids.back())) out.pid_inside = static_cast<int>(*inside);
  out.command = read_file(proc + "/cmdline").value_or("").substr(0, kMaxCommand);
  while (out.command.ends_with('\0')) out.command.pop_back();
  std::replace(out.command.begin(), out.command.end(), '\0', ' ');
  if (out.command.empty()) out.command = "[" + stat.name + "]";  // it has ended, or shows none
  return out;
}

}  // namespace

std::vector<ListedProcess> processes_below(pid_t shim_pid) {
  std::vector<ListedProcess> out;
  std::vector<pid_t> todo;
  std::set<pid_t> seen{shim_pid};
  each_child(shim_pid, [&](pid_t child) { todo.push_back(child); });
  while (!todo.empty()) {
    const pid_t pid = todo.front();
    todo.erase(todo.begin());
    if (!seen.insert(pid).second) continue;
    if (const auto stat = process_stat(pid)) out.push_back(listed(pid, *stat));
    each_child(pid, [&](pid_t child) { todo.push_back(child); });
  }
  return out;
}

}  // namespace locald::runtime
