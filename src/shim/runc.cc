#include "shim/runc.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "shim/execute.h"
#include "shim/kernel.h"
#include "shim/protocol.h"

namespace locald::shim {
namespace {

constexpr int kExecuteLimitMs = 1'000;  // for runc's init to become the command

/// Listens where runc is to send the terminal's master; -1 and errno on failure. The path must be
/// absolute for it, and short enough for a socket: a long one goes through our own descriptor of
/// the folder. Leaves the working folder changed.
int listen_console(const char* dir, int folder, Text& path) {
  path.add(dir).add("/").add(kConsoleSocket);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    path.clear();
    path.add("/proc/").number(::getpid()).add("/fd/").number(folder).add("/").add(kConsoleSocket);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kConsoleSocket, sizeof kConsoleSocket);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool ok = ::fchdir(folder) == 0;
  if (ok) {
    ::unlink(kConsoleSocket);
    const mode_t before = ::umask(0177);
    ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(fd, 1) == 0;
    ::umask(before);
  }
  if (ok) {
    (void)!::chdir("/");
    return fd;
  }
  const int error = errno;
  (void)!::chdir("/");
  ::close(fd);
  errno = error;
  return -1;
}

/// The last error in runc's log: a line of JSON with "level":"error" and "msg". Unescaped into
/// `text`.
bool last_runc_error(int folder, Text& text) {
  char log[4096];
  const ssize_t n = read_start(folder, kRuncLog, log, sizeof log - 1);
  if (n <= 0) return false;
  log[n] = '\0';
  const char* found = nullptr;
  for (const char* at = std::strstr(log, "\"msg\":\""); at != nullptr;
       at = std::strstr(at + 1, "\"msg\":\""))
    found = at + 7;
  if (found == nullptr) return false;
  for (const char* prefix : {"runc run failed: ", "runc exec failed: ", "exec failed: ",
                             "unable to start container process: "})
    if (std::strncmp(found, prefix, std::strlen(prefix)) == 0) found += std::strlen(prefix);
  for (; *found != '\0' && *found != '"'; ++found) {
    if (*found == '\\' && found[1] != '\0') {
      ++found;
      if (*found == 'n' || *found == 't')
        text.add(" ", 1);
      else if (*found == 'u' && ::strnlen(found, 5) == 5) {
        const char hex[] = {found[1], found[2], found[3], found[4], '\0'};
        const auto code = static_cast<char>(std::strtoul(hex, nullptr, 16));
        text.add(&code, 1);  // Go escapes only what is ASCII
        found += 4;
      } else
        text.add(found, 1);
    } else {
      text.add(found, 1);
    }
  }
  return !text.empty();
}

/// Whether a file of some size can be written to the folder; errno where it cannot. (runc's log and
/// its state are there.)
bool has_room(int folder) {
  static char block[128 << 10];  // never written to
  const bool room = write_file(folder, "room", block, sizeof block);
  const int error = errno;
  if (room) ::unlinkat(folder, "room", 0);
  errno = error;
  return room;
}

/// True if the process or zombie `pid` is still runc's init: its execve never happened.
bool is_runc_init(int own_proc, pid_t pid) {
  TextOf<32> path;
  path.number(pid).add("/comm");
  char comm[32] = {};
  return read_start(own_proc, path.data(), comm, sizeof comm - 1) > 0 &&
         std::strncmp(comm, "runc:[2:INIT]", 13) == 0;
}

}  // namespace

pid_t spawn_runc(const char* const* argv, const int child[3], int report) {
  static const char* const env[] = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  static volatile int failed;
  failed = 0;
  const pid_t pid = ::vfork();
  if (pid == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::umask(022);
    for (int i = 0; i < 3; ++i) ::dup2(child[i], i);
    if (report == kInitReportFd)
      ::fcntl(report, F_SETFD, 0);
    else if (report >= 0)
      ::dup2(report, kInitReportFd);
    if (::chdir("/") == 0)
      ::execve(argv[0], const_cast<char* const*>(argv), const_cast<char* const*>(env));
    failed = errno;
    ::_exit(127);
  }
  if (pid > 0 && failed != 0) {
    ::waitpid(pid, nullptr, 0);
    errno = failed;
    return -1;
  }
  return pid;
}

StartResult RuncProcess::run(const Spec& spec, int folder, const char* verb,
                             const char* const (&target)[3], const int child[3], Text& why) {
  const char* dir = spec.first(kKeyRunDir);
  TextOf<4200> console, pid_file, log;
  pid_file.add(dir).add("/").add(kPidFile);
  log.add(dir).add("/").add(kRuncLog);
  if (spec.tty) console_ = listen_console(dir, folder, console);
  if (spec.tty && console_ < 0) {
    why.add("the console socket cannot be made: ").add(error_text(errno));
    return {125};
  }
  const char* argv[24];
  int n = 0;
  auto word = [&](const char* w) { argv[n++] = w; };
  for (const char* w : {spec.first(kKeyRunc), "--root", spec.first(kKeyRuncRoot), "--log",
                        log.data(), "--log-format", "json"})
    word(w);
  for (const char* w : {verb, "--detach", "--pid-file", pid_file.data()}) word(w);
  int report[2] = {-1, -1};
  if (spec.flag(kKeyReport)) {
    if (::pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) {
      why.add("no pipe could be made: ").add(error_text(errno));
      return {125};
    }
    report_ = report[0];
    word("--preserve-fds"), word("1");
  }
  if (spec.tty) word("--console-socket"), word(console.data());
  for (const char* w : target) word(w);
  word(nullptr);
  const pid_t pid = spawn_runc(argv, child, report[1]);
  if (report[1] >= 0) ::close(report[1]);
  if (pid < 0) {
    why.add(spec.first(kKeyRunc)).add(": cannot be executed: ").add(error_text(errno));
    return {125};
  }
  starter_ = pid;
  return {};
}

StartResult RuncProcess::finish_start(const Spec& spec, int folder, int status, Text& why) {
  const char* dir = spec.first(kKeyRunDir);
  char text[32] = {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
      read_start(folder, kPidFile, text, sizeof text - 1) > 0) {
    const auto pid = static_cast<pid_t>(parse_number(text));
    // Reparented to us, and not reaped before this line: the number is the process.
    if (pid > 0 && parent_of(own_proc_, pid) == ::getpid()) {
      adopt(pid);
      return {};
    }
    why.add("runc started a process that is not a child of its shim");
    return {125};
  }
  TextOf<900> error;
  if (last_runc_error(folder, error)) {
    explain_runc(error.data(), why, root());
    // runc does not always say so itself ("unable to store init state: %!w(<nil>)").
    if (!has_room(folder)) why.add(" (").add(dir).add(": ").add(error_text(errno)).add(")");
    return {code_of_runc_text(error.data()), /*on_stderr=*/true};
  }
  if (WIFSIGNALED(status))
    why.add("runc was killed by signal ").number(WTERMSIG(status));
  else if (!has_room(folder))
    why.add("runc failed, and could not say why: ").add(dir).add(": ").add(error_text(errno));
  else
    why.add("runc failed with code ").number(WEXITSTATUS(status)).add(" and said nothing");
  return {125};
}

/// Runc has let its init go, which becomes the command now: within microseconds, or never. What
/// ended instead has never run, and `started` is not said of it.
bool RuncProcess::executed() const {
  if (report_ >= 0) return false;
  const auto limit = monotonic_ms() + kExecuteLimitMs;
  while (is_runc_init(own_proc_, pid_)) {
    constexpr timespec kPause{0, 200'000};
    pollfd ended{pidfd_, POLLIN, 0};
    if (::ppoll(&ended, 1, &kPause, nullptr) == 1) return !is_runc_init(own_proc_, pid_);
    if (monotonic_ms() >= limit) return true;
  }
  return true;
}

bool RuncProcess::never_executed(const siginfo_t& end) const {
  return end.si_code == CLD_EXITED && is_runc_init(own_proc_, end.si_pid);
}

bool RuncProcess::become_root(const Spec& spec, Text& why) {
  if (!spec.userns) return true;
  if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    return why.add("become root of the user namespace: ").add(error_text(errno)), false;
  // /proc/PID/ns/user stays open to the user: a new server takes the namespace from it.
  ::prctl(PR_SET_DUMPABLE, 1);
  return true;
}

int code_of_runc_text(const char* text) {
  auto has = [&](const char* part) { return std::strstr(text, part) != nullptr; };
  if (!has("exec: ") && std::strncmp(text, "exec ", 5) != 0 && !has(" exec /")) return 125;
  if (has("executable file not found") || has("no such file or directory")) return 127;
  if (has("permission denied") || has("exec format error") || has("is a directory")) return 126;
  return 125;
}

}  // namespace locald::shim
