#include "runtime/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <mutex>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::runtime {
namespace {

std::optional<std::string> read_proc(const std::string& path, std::size_t max) {
  auto fd = sys::open(path, O_RDONLY);
  if (!fd) return std::nullopt;
  std::string text;
  char chunk[4096];
  while (text.size() < max) {
    const auto n = sys::read_some(fd->get(), chunk, sizeof chunk);
    if (!n) return std::nullopt;
    if (*n == 0) break;
    text.append(chunk, *n);
  }
  return text;
}

bool each_number(const std::string& dir, const std::function<void(pid_t)>& visit) {
  DIR* handle = ::opendir(dir.c_str());
  if (handle == nullptr) return false;
  while (const dirent* entry = ::readdir(handle))
    if (const auto pid = parse_u64(entry->d_name)) visit(static_cast<pid_t>(*pid));
  ::closedir(handle);
  return true;
}

}  // namespace

std::optional<ProcessStat> process_stat(pid_t pid) {
  const auto text = read_proc("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return std::nullopt;
  const std::size_t paren = text->rfind(')');  // the name before it may hold anything
  if (paren == std::string::npos || paren + 2 >= text->size()) return std::nullopt;
  const auto fields = split(std::string_view(*text).substr(paren + 2), ' ');
  if (fields.size() < 20) return std::nullopt;
  const std::size_t open = text->find('(');
  const std::string name = text->substr(open + 1, paren - open - 1);
  // proc(5), stat: its third field, the state, is number 0 here.
  auto number = [&](std::size_t i) {
    return i < fields.size() ? parse_u64(fields[i]).value_or(0) : 0;
  };
  return ProcessStat{.name = name,
                     .state = fields[0].empty() ? '?' : fields[0][0],
                     .parent = static_cast<pid_t>(number(1)),
                     .session = static_cast<pid_t>(number(3)),
                     .start_time = number(19),
                     .cpu_ticks = number(11) + number(12),
                     .children_ticks = number(13) + number(14),
                     .threads = number(17),
                     .resident_pages = number(21)};
}

Result<UniqueFd> open_process(pid_t pid, std::uint64_t start_time) {
  UniqueFd fd = TRY(sys::pidfd_open(pid));
  const auto stat = process_stat(pid);  // after the open: a match proves what the descriptor is
  pollfd ended{fd.get(), POLLIN, 0};
  if (!stat && ::poll(&ended, 1, 0) == 0)
    return Error(Errc::failed, "process " + std::to_string(pid) + " cannot be looked at in /proc");
  if (!stat || stat->start_time != start_time)
    return Error(Errc::not_found,
                 "process " + std::to_string(pid) + " has ended; the number belongs to another");
  return fd;
}

std::string boot_id() {
  static std::mutex mutex;
  static std::string known;
  const std::lock_guard lock(mutex);
  if (known.empty()) known = trim(read_proc("/proc/sys/kernel/random/boot_id", 64).value_or(""));
  return known;
}

bool each_process(const std::function<void(pid_t)>& visit) {
  const uid_t uid = ::geteuid();
  return each_number("/proc", [&](pid_t pid) {
    struct stat st {};
    if (uid != 0 &&
        (::stat(("/proc/" + std::to_string(pid)).c_str(), &st) != 0 || st.st_uid != uid))
      return;
    visit(pid);
  });
}

void each_child(pid_t pid, const std::function<void(pid_t)>& visit) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  each_number(tasks, [&](pid_t task) {
    const auto list = read_proc(tasks + "/" + std::to_string(task) + "/children", 1 << 20);
    if (!list) return;
    for (const std::string& word : split(*list, ' '))
      if (const auto child = parse_u64(word)) visit(static_cast<pid_t>(*child));
  });
}

bool environment_has(pid_t pid, const std::string& pair) {
  const auto text = read_proc("/proc/" + std::to_string(pid) + "/environ", 4u << 20);
  if (!text) return false;
  const std::string wanted = pair + '\0';
  for (std::size_t at = text->find(wanted); at != std::string::npos;
       at = text->find(wanted, at + 1))
    if (at == 0 || (*text)[at - 1] == '\0') return true;
  return false;
}

bool kill_tree(pid_t pid, int pidfd) {
  std::vector<pid_t> children;
  each_child(pid, [&](pid_t child) {
    if (const auto stat = process_stat(child); stat && stat->parent == pid)
      children.push_back(child);
  });
  pollfd ended{pidfd, POLLIN, 0};
  if (::poll(&ended, 1, 0) != 0)
    return false;  // the number may have been another's when its children were listed
  for (const pid_t child : children) kill_tree(child);
  (void)sys::pidfd_signal(pidfd, SIGKILL);
  return true;
}

void kill_tree(pid_t pid) {
  if (auto fd = sys::pidfd_open(pid)) kill_tree(pid, fd->get());
}

}  // namespace locald::runtime
