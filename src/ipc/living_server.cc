#include "ipc/living_server.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <sstream>
#include <string_view>

#include "base/strings.h"
#include "base/sys/file_id.h"
#include "base/sys/fs_at.h"

namespace locald::ipc {
namespace {

constexpr std::string_view kName = "locald-server";  // what the kernel calls it: 15 bytes at most

bool of_this_user(int pid) {
  struct stat st {};
  return ::stat(("/proc/" + std::to_string(pid)).c_str(), &st) == 0 && st.st_uid == ::geteuid();
}

bool is_server(int pid) {
  if (pid == ::getpid() || !of_this_user(pid)) return false;
  const auto name = read_file("/proc/" + std::to_string(pid) + "/comm", 64);
  return name && trim(*name) == kName;
}

/// True too where it cannot be seen: one that was killed has no descriptors any more, and its locks
/// for a moment yet.
bool has_open(int pid, const FileId& file) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> fds(::opendir(folder.c_str()), ::closedir);
  if (fds == nullptr) return errno != ENOENT;
  bool any = false;
  while (const dirent* entry = ::readdir(fds.get())) {
    if (entry->d_name[0] == '.') continue;
    any = true;
    if (FileId::of(::dirfd(fds.get()), entry->d_name) == file) return true;
  }
  return !any;
}

/// "T" of a process that was stopped, "S" of one that sleeps …; 0 where that cannot be read.
char state_of(int pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  const auto end = text ? text->rfind(')') : std::string::npos;
  return end == std::string::npos || end + 2 >= text->size() ? '\0' : (*text)[end + 2];
}

}  // namespace

std::string lasting_folder(const Paths& paths) {
  const std::string& state = paths.state();
  return state.substr(0, std::max<std::size_t>(state.rfind('/'), 1));
}

int lock_holder(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return 0;
  const auto locks = read_file("/proc/locks");
  if (!locks) return 0;
  // "7: FLOCK  ADVISORY  WRITE 1234 00:2d:5678 0 EOF". The device is not compared: on some file
  // systems stat(2) has another one.
  const std::string inode = ":" + std::to_string(st.st_ino);
  std::istringstream lines(*locks);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, kind, how, what, file;
    int pid = 0;
    if (words >> number >> kind >> how >> what >> pid >> file && kind == "FLOCK" && pid > 0 &&
        file.ends_with(inode) && of_this_user(pid) && has_open(pid, FileId(st)))
      return pid;
  }
  return 0;
}

int living_server(const Paths& paths) {
  const int pid = lock_holder(lasting_folder(paths));
  return pid != 0 && is_server(pid) ? pid : 0;
}

LockSignature lock_signature(const Paths& paths) {
  const auto text = read_file(paths.state_lock(), 8192);
  const std::string_view words = text ? trim(*text) : std::string_view();
  const auto blank = words.find(' ');
  const auto pid = parse_u64(words.substr(0, blank));
  if (blank == std::string_view::npos || !pid) return {};
  return {static_cast<int>(*pid), std::string(words.substr(blank + 1))};
}

std::string way_out(const Paths& paths, int pid) {
  const std::string log = "its log is " + paths.server_log();
  const std::string number = std::to_string(pid);
  if (pid <= 0) return log;
  if (const char state = state_of(pid); state == 'T' || state == 't')
    return "it is stopped; continue it: kill -CONT " + number;
  return log + "; if it does not answer, end it (its services keep running): kill -KILL " + number;
}

}  // namespace locald::ipc
