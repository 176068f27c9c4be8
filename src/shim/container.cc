#include <fcntl.h>
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
#include <cstring>
#include <initializer_list>

#include "shim/execute.h"
#include "shim/kernel.h"
#include "shim/process.h"
#include "shim/protocol.h"
#include "shim/rootfs.h"
#include "shim/session.h"

namespace locald::shim {
namespace {

/// Where runc is to send the terminal's master. The path must be absolute for it, and short enough
/// for a socket: a long one goes through our own descriptor of the folder.
bool listen_console(Session& s, Text& path) {
  path.add(s.spec.first(kKeyRunDir)).add("/").add(kConsoleSocket);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    path.clear();
    path.add("/proc/").number(::getpid()).add("/fd/").number(s.folder).add("/").add(kConsoleSocket);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kConsoleSocket, sizeof kConsoleSocket);
  s.console_listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s.console_listener < 0 || ::fchdir(s.folder) != 0) return false;
  ::unlink(kConsoleSocket);
  const mode_t before = ::umask(0177);
  const bool ok = ::bind(s.console_listener, reinterpret_cast<const sockaddr*>(&address),
                         sizeof address) == 0 &&
                  ::listen(s.console_listener, 1) == 0;
  ::umask(before);
  (void)!::chdir("/");
  return ok;
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
      else if (*found == 'u')
        text.add("\\u", 2);
      else
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

void start_container(Session& s, int child[3]) {
  const Spec& spec = s.spec;
  const bool exec = spec.kind == Spec::Kind::exec;
  if (exec) {
    // runc copies itself into memory unless it may mount: a mount namespace of its own saves 8 ms.
    if (::unshare(CLONE_NEWNS) != 0) {
      s.reason.add("a mount namespace cannot be made: ").add(error_text(errno));
      return s.fail(125, s.reason.data());
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr);
  } else {
    if (!make_mounts(s.reason) || !mount_binds(spec, s.reason) || !mount_rootfs(spec, s.reason))
      return s.fail(125, s.reason.data());
    s.rootfs_mounted = spec.first(kKeyLower) != nullptr;
    Text(s.rootfs_path, sizeof s.rootfs_path).add(spec.first(kKeyBundle)).add("/rootfs");
    (void)!::chdir("/");
  }
  s.own_proc = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

  const char* dir = spec.first(kKeyRunDir);
  TextOf<4200> console, pid_file, log, process;
  pid_file.add(dir).add("/").add(kPidFile);
  log.add(dir).add("/").add(kRuncLog);
  process.add(dir).add("/").add(kProcessFile);
  if (spec.tty && !listen_console(s, console)) {
    s.reason.add("the console socket cannot be made: ").add(error_text(errno));
    return s.fail(125, s.reason.data());
  }
  const char* argv[24];
  int n = 0;
  auto word = [&](const char* w) { argv[n++] = w; };
  for (const char* w : {spec.first(kKeyRunc), "--root", spec.first(kKeyRuncRoot), "--log",
                        log.data(), "--log-format", "json"})
    word(w);
  for (const char* w : {exec ? "exec" : "run", "--detach", "--pid-file", pid_file.data()}) word(w);
  int report[2] = {-1, -1};
  if (spec.flag(kKeyReport)) {
    if (::pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) {
      s.reason.add("no pipe could be made: ").add(error_text(errno));
      return s.fail(125, s.reason.data());
    }
    s.report = report[0];
    word("--preserve-fds"), word("1");
  }
  if (spec.tty) word("--console-socket"), word(console.data());
  if (exec)
    word("--process"), word(process.data()), word(spec.first(kKeyTarget));
  else
    word("--bundle"), word(spec.first(kKeyBundle)), word(spec.id);
  word(nullptr);
  s.runc_pid = spawn_runc(argv, child, report[1]);
  if (report[1] >= 0) ::close(report[1]);
  if (s.runc_pid < 0) {
    s.runc_pid = 0;
    s.reason.add(spec.first(kKeyRunc)).add(": cannot be executed: ").add(error_text(errno));
    s.fail(125, s.reason.data());
  }
}

void runc_ended(Session& s, int status) {
  char text[32] = {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
      read_start(s.folder, kPidFile, text, sizeof text - 1) > 0) {
    const auto pid = static_cast<pid_t>(parse_number(text));
    // Reparented to us, and not reaped before this line: the number is the process.
    if (pid > 0 && parent_of(s.own_proc, pid) == ::getpid()) return s.set_main(pid);
    s.reason.add("runc started a process that is not a child of its shim");
    return s.fail(125, s.reason.data());
  }
  TextOf<900> error;
  if (last_runc_error(s.folder, error)) {
    explain_runc(error.data(), s.reason);
    s.drop_output();  // it says it on stderr, too
    // runc does not always say so itself ("unable to store init state: %!w(<nil>)").
    if (!has_room(s.folder))
      s.reason.add(" (").add(s.spec.first(kKeyRunDir)).add(": ").add(error_text(errno)).add(")");
    return s.fail(code_of_runc_text(error.data()), s.reason.data());
  }
  if (WIFSIGNALED(status))
    s.reason.add("runc was killed by signal ").number(WTERMSIG(status));
  else if (!has_room(s.folder))
    s.reason.add("runc failed, and could not say why: ")
        .add(s.spec.first(kKeyRunDir))
        .add(": ")
        .add(error_text(errno));
  else
    s.reason.add("runc failed with code ").number(WEXITSTATUS(status)).add(" and said nothing");
  s.fail(125, s.reason.data());
}

void unmount_rootfs(const Session& s) {
  // Everything below it is dead; what is still held elsewhere goes with its holder.
  if (s.rootfs_mounted) ::umount2(s.rootfs_path, MNT_DETACH);
}

pid_t host_number(int proc, int pidfd) {
  // The "Pid:" of a pidfd is counted in the namespace of the /proc it is read through.
  TextOf<48> path;
  path.add("self/fdinfo/").number(pidfd);
  char info[512];
  const ssize_t n = read_start(proc, path.data(), info, sizeof info - 1);
  if (n <= 0) return 0;
  info[n] = '\0';
  const char* line = std::strstr(info, "\nPid:");
  if (line == nullptr) return 0;
  line += 5;
  while (*line == ' ' || *line == '\t') ++line;
  return static_cast<pid_t>(parse_number(line));
}

bool is_runc_init(int own_proc, pid_t pid) {
  TextOf<32> path;
  path.number(pid).add("/comm");
  char comm[32] = {};
  return read_start(own_proc, path.data(), comm, sizeof comm - 1) > 0 &&
         std::strncmp(comm, "runc:[2:INIT]", 13) == 0;
}

int code_of_runc_text(const char* text) {
  auto has = [&](const char* part) { return std::strstr(text, part) != nullptr; };
  if (!has("exec: ") && std::strncmp(text, "exec ", 5) != 0 && !has(" exec /")) return 125;
  if (has("executable file not found") || has("no such file or directory")) return 127;
  if (has("permission denied") || has("exec format error") || has("is a directory")) return 126;
  return 125;
}

bool join_namespaces(const Spec& spec, Text& why) {
  const bool exec = spec.kind == Spec::Kind::exec;
  if (spec.kind == Spec::Kind::host) return true;
  if (spec.userns || exec) {
    // A pidfd joins several namespaces of that process at once.
    const int what =
        exec ? CLONE_NEWNS | CLONE_NEWPID | (spec.userns ? CLONE_NEWUSER : 0) : CLONE_NEWUSER;
    if (::setns(kShimJoin, what) != 0) {
      why.add(exec ? "join the namespaces of the container: " : "join the user namespace: ")
          .add(error_text(errno));
      if (exec && errno == ESRCH) why.add(" (it has ended)");
      return false;
    }
    if (spec.userns) {
      if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        return why.add("become root of the user namespace: ").add(error_text(errno)), false;
      ::prctl(
          PR_SET_DUMPABLE,
          1);  // /proc/PID/ns/user stays open to the user: a new server takes the namespace from it
    }
  }
  if (!exec && ::unshare(CLONE_NEWPID) != 0)
    return why.add("a pid namespace cannot be made: ").add(error_text(errno)), false;
  return true;
}

}  // namespace locald::shim
