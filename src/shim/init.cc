#include "shim/init.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "shim/execute.h"
#include "shim/kernel.h"
#include "shim/protocol.h"

extern "C" const char __executable_start, etext;  // the linker's

namespace locald::shim {
namespace {

/// The kernel's own: the C library's sets leave out two signals that it keeps for itself.
using Signals = std::uint64_t;
constexpr Signals kAll = ~Signals{0};

Signals set_mask(Signals mask) {
  Signals before = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof mask);
  return before;
}

bool write_own(const char* file, const char* text, std::size_t size) {
  TextOf<32> path;
  path.add("/proc/self/").add(file);
  const int fd = ::open(path.data(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write_all(fd, text, size);
  const int error = errno;
  ::close(fd);
  errno = error;
  return written;
}

bool map_one(const char* file, std::uint32_t inside, std::uint32_t outside) {
  TextOf<40> line;
  line.number(inside).add(" ").number(outside).add(" 1");
  return write_own(file, line.data(), line.size());
}

bool drop_capabilities() {
  for (unsigned long cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap)
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return ::syscall(SYS_capset, &header, none) == 0;
}

/// "1001:1000"
bool read_ids(const char* text, InitRequest* request) {
  std::uint32_t* const ids[] = {&request->uid, &request->gid};
  for (int i = 0; i < 2; ++i) {
    std::size_t digits = 0;
    while (text[digits] >= '0' && text[digits] <= '9') ++digits;
    if (digits == 0 || digits > 10 || text[digits] != (i == 0 ? ':' : '\0')) return false;
    const std::uint64_t value = parse_number(text);
    if (value >= UINT32_MAX) return false;  // the last one is not an id
    *ids[i] = static_cast<std::uint32_t>(value);
    text += digits + 1;
  }
  return true;
}

/// The controlling terminal as one of 0, 1, 2; given up, since a terminal has one session. -1:
/// none.
int release_terminal() {
  if (::getsid(0) != ::getpid()) return -1;
  for (int fd = 0; fd < 3; ++fd)
    if (::ioctl(fd, TIOCNOTTY) == 0) return fd;
  return -1;
}

/// The command as our child, the leader of a session as it would be without us: so what the
/// terminal would stop (Ctrl-Z) and nobody could wake up is not stopped, and a shell finds the job
/// control that it expects.
/// @return its pid; where it was not executed, `error` says why, as execute() does. -1 and errno.
pid_t start(char* const* argv, int terminal, Signals mask, const struct sigaction& child_action,
            int* error) {
  static volatile int failed;
  failed = 0;
  const pid_t pid = ::vfork();
  if (pid == 0) {
    ::setsid();
    if (terminal >= 0) ::ioctl(terminal, TIOCSCTTY, 0);
    ::sigaction(SIGCHLD, &child_action, nullptr);
    set_mask(mask);
    failed = execute(argv, environ);
    ::_exit(127);
  }
  *error = failed;
  return pid;
}

/// True, with its status, once the child has ended.
bool reap_all(pid_t child, int* status) {
  bool ended = false;
  for (;;) {
    int one = 0;
    const pid_t pid = ::waitpid(-1, &one, WNOHANG | __WALL);
    if (pid == child) ended = true, *status = one;
    if (pid <= 0 && !(pid < 0 && errno == EINTR)) return ended;
  }
}

void forward(pid_t child, siginfo_t& info) {
  // The hang-up by which our own TIOCNOTTY reaches us is nobody's.
  if (info.si_code == SI_USER && info.si_pid == ::getpid()) return;
  if (info.si_code == SI_QUEUE && ::syscall(SYS_rt_sigqueueinfo, child, info.si_signo, &info) == 0)
    return;
  ::kill(child, info.si_signo);
}

/// The pages of the program that only the start has needed: the kernel maps sixteen at a touch.
/// What is used again comes back by itself. Measured: 0.24 MB PSS instead of 0.55 where one
/// container runs.
void forget_program() {
  const auto begin = reinterpret_cast<std::uintptr_t>(&__executable_start) & ~std::uintptr_t{4095};
  const auto end = reinterpret_cast<std::uintptr_t>(&etext) & ~std::uintptr_t{4095};
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

int tend(pid_t child) {
  forget_program();
  int status = 0;
  for (;;) {
    siginfo_t info{};
    if (::syscall(SYS_rt_sigtimedwait, &kAll, &info, nullptr, sizeof kAll) < 0) continue;
    if (info.si_signo != SIGCHLD) {
      forward(child, info);
    } else if (reap_all(child, &status)) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}

int never_ran(const InitRequest& request, int code, Text& why) {
  if (request.report && write_all(kInitReportFd, why.data(), why.size())) return code;
  why.add("\n", 1);
  write_all(2, why.data(), why.size());
  return code;
}

int not_executed(const InitRequest& request, int error, Text& why) {
  const int code = explain_exec(error, request.argv[0], why);
  // As the runtime tells it of a command that it starts itself.
  return never_ran(request, error == kNoInterpreter ? 127 : code, why);
}

}  // namespace

bool read_init(char** words, InitRequest* request, Text& why) {
  for (; *words != nullptr; ++words) {
    const char* word = *words;
    if (std::strcmp(word, "--") == 0) {
      request->argv = words + 1;
      if (*request->argv != nullptr) return true;
      break;
    }
    if (std::strcmp(word, kInitExec) == 0) {
      request->exec = true;
    } else if (std::strcmp(word, kInitSeal) == 0) {
      request->seal = true;
    } else if (std::strcmp(word, kInitReport) == 0) {
      request->report = true;
    } else if (std::strcmp(word, kInitMap) == 0 && words[1] != nullptr) {
      request->map = true;
      if (!read_ids(*++words, request)) return why.add(*words).add(" is not UID:GID"), false;
    } else {
      return why.add(word).add(": unknown to init"), false;
    }
  }
  return why.add("init: no command"), false;
}

bool nest(std::uint32_t uid, std::uint32_t gid, Text& why) {
  const uid_t outer_uid = ::geteuid();
  const gid_t outer_gid = ::getegid();
  const auto failed = [&](const char* what) {
    const char* error = error_text(errno);
    why.add("the user ").number(uid).add(":").number(gid).add(" cannot be had: ").add(what);
    return why.add(": ").add(error), false;
  };
  if (::unshare(CLONE_NEWUSER) != 0) return failed("make a user namespace");
  // Denied already where the namespace around it is; gid_map says so if it must be and is not.
  (void)write_own("setgroups", "deny", 4);
  if (!map_one("uid_map", uid, outer_uid)) return failed("write its uid_map");
  if (!map_one("gid_map", gid, outer_gid)) return failed("write its gid_map");
  if (!drop_capabilities()) return failed("drop the capabilities");
  return true;
}

bool seal(Text& why) {
  // Of the own ABI alone: another one does not come past the container's own filter.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof code / sizeof code[0], code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
    return true;
  return why.add("install a filter of system calls: ").add(error_text(errno)), false;
}

int init_mode(char** words) {
  InitRequest request;
  TextOf<600> why;
  if (!read_init(words, &request, why)) return never_ran(request, 125, why);
  if (request.report) ::fcntl(kInitReportFd, F_SETFD, FD_CLOEXEC);
  struct sigaction before {};
  Signals mask = 0;
  if (!request.exec) {
    // Before anything that takes time: what comes to PID 1 and is not blocked is lost.
    mask = set_mask(kAll);
    struct sigaction ends {};
    ends.sa_handler = SIG_DFL;
    ends.sa_flags = SA_NOCLDSTOP;
    ::sigaction(SIGCHLD, &ends, &before);
  }
  if (request.map && !nest(request.uid, request.gid, why)) return never_ran(request, 125, why);
  if (request.seal && !seal(why)) return never_ran(request, 125, why);
  if (request.exec) return not_executed(request, execute(request.argv, environ), why);
  int error = 0;
  const pid_t child = start(request.argv, release_terminal(), mask, before, &error);
  if (child < 0) {
    why.add("no process could be made: ").add(error_text(errno));
    return never_ran(request, 125, why);
  }
  if (error != 0) return not_executed(request, error, why);
  if (request.report) ::close(kInitReportFd);
  return tend(child);
}

}  // namespace locald::shim
