#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "shim/execute.h"
#include "shim/kernel.h"
#include "shim/process.h"
#include "shim/protocol.h"

namespace locald::shim {
namespace {

/// "7:1024:4096": never fatal. A hard limit that cannot be raised stays, and the soft one is cut to
/// it.
void apply_limit(const char* text) {
  const auto resource = static_cast<int>(parse_number(text));
  const char* soft = std::strchr(text, ':');
  const char* hard = soft == nullptr ? nullptr : std::strchr(soft + 1, ':');
  if (hard == nullptr) return;
  rlimit wanted{parse_number(soft + 1), parse_number(hard + 1)};
  if (::syscall(SYS_prlimit64, 0, resource, &wanted, nullptr) == 0) return;
  rlimit now{};
  if (::syscall(SYS_prlimit64, 0, resource, nullptr, &now) != 0) return;
  if (wanted.rlim_cur > now.rlim_max) wanted.rlim_cur = now.rlim_max;
  wanted.rlim_max = now.rlim_max;
  (void)::syscall(SYS_prlimit64, 0, resource, &wanted, nullptr);
}

struct Outcome {
  int error = 0;
  enum class Step { none, enter, execute } step = Step::none;
};

/// In the child of vfork: shares our memory until exec, has its own signals, descriptors and
/// folder.
void become(const Spec& spec, const int child[3], pid_t parent, char* const* argv, char* const* env,
            volatile Outcome* out) {
  ::setsid();
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // The shim killed: the process dies too. Asked for after the fork, so look whether it was too
  // late.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(125);
  for (const char* v = spec.first(kKeyRlimit); v != nullptr; v = spec.next(kKeyRlimit, v))
    apply_limit(v);
  if (const char* v = spec.first(kKeyUmask)) ::umask(static_cast<mode_t>(parse_number(v)));
  for (int i = 0; i < 3; ++i) ::dup2(child[i], i);
  if (spec.tty) ::ioctl(0, TIOCSCTTY, 0);
  const int entered = spec.flag(kKeyCwdOpen) ? ::fchdir(kShimExtra) : ::chdir(spec.first(kKeyCwd));
  if (entered != 0) {
    out->error = errno;
    out->step = Outcome::Step::enter;
  } else {
    out->error = execute(argv, env);
    out->step = Outcome::Step::execute;
  }
  ::_exit(127);
}

/// Starts the command in a session of its own; it dies with its parent.
/// @return its pid, or -1 with a sentence in `why` and 125, 126 or 127.
pid_t spawn_host(const Spec& spec, const int child[3], Text& why, int* code) {
  char** argv = spec.list(kKeyArg);
  char** env = spec.list(kKeyEnv);
  if (argv == nullptr || env == nullptr) return why.add("out of memory"), *code = 125, -1;
  static volatile Outcome outcome;
  outcome.error = 0;
  outcome.step = Outcome::Step::none;
  const pid_t parent = ::getpid();
  const pid_t pid = ::vfork();
  if (pid == 0) become(spec, child, parent, argv, env, &outcome);
  if (spec.flag(kKeyCwdOpen)) ::close(kShimExtra);  // or its mount stays busy for our lifetime
  if (pid < 0) return why.add("no process could be made: ").add(error_text(errno)), *code = 125, -1;
  if (outcome.step == Outcome::Step::none) return pid;
  const int error = outcome.error;
  if (outcome.step == Outcome::Step::enter) {
    *code = 125;
    why.add("cannot enter the working folder ")
        .add(spec.first(kKeyCwd))
        .add(": ")
        .add(error_text(error));
  } else {
    *code = explain_exec(error, argv[0], why);
  }
  return -1;  // the zombie is reaped with all other children
}

class HostProcess final : public Process {
 public:
  HostProcess() : Process(Rest::asked, /*contained=*/false) {}

  StartResult start(const Spec& spec, int proc, int, const int child[3], Text& why) override {
    proc_ = own_proc_ = proc;
    int code = 125;
    const pid_t pid = spawn_host(spec, child, why, &code);
    if (pid <= 0) return {code};
    adopt(pid);
    return {};
  }

  pid_t start_probe(const Spec& spec, const int child[3], int*, Text& why, int* code) override {
    return spawn_host(spec, child, why, code);
  }

 protected:
  KillResult kill_tree(Reaped reaped, void* context) override {
    KillResult result;
    result.end = kill_below(own_proc_, ::getpid(), kKillLimitMs, reaped, context, &result.left);
    return result;
  }
};

HostProcess host_instance;

}  // namespace

Process& host_process() { return host_instance; }

}  // namespace locald::shim
