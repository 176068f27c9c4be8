#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "shim/kernel.h"
#include "shim/modes.h"
#include "shim/process.h"
#include "shim/protocol.h"
#include "shim/tree.h"

namespace locald::shim {
namespace {

struct Probe {
  Spec spec;
  Process* process = nullptr;  // of the spec's kind
  int proc = -1;
  pid_t main = 0;
  bool over = false;
  int status = 0;
  char output[kProbeOutput];
  int have = 0;
  int report = -1;  // as Process's
};

Probe probe;

void reply(int code, bool never_ran, const char* text, int length) {
  const ProbeReply head{code, never_ran ? 1 : 0, length};
  char message[sizeof head + kProbeOutput];
  std::memcpy(message, &head, sizeof head);
  std::memcpy(message + sizeof head, text, static_cast<std::size_t>(length));
  (void)::send(kShimControl, message, sizeof head + static_cast<std::size_t>(length), MSG_NOSIGNAL);
}

int refuse_probe(const char* text) {
  reply(125, true, text, static_cast<int>(std::strlen(text)));
  return 125;
}

void reaped(void*, pid_t pid, int status) {
  if (pid == probe.main) probe.over = true, probe.status = status;
}

/// False when there is nothing more to read, now or ever.
bool read_some(int fd) {
  char spare[4096];
  const bool room = probe.have < kProbeOutput;
  char* to = room ? probe.output + probe.have : spare;
  const ssize_t n =
      ::read(fd, to, room ? static_cast<std::size_t>(kProbeOutput - probe.have) : sizeof spare);
  if (n > 0 && room) probe.have += static_cast<int>(n);
  return n > 0;
}

[[noreturn]] void work() {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const int signals = ::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (probe.process->contained()) probe.proc = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int out[2];
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (signals < 0 || null < 0 || ::pipe2(out, O_CLOEXEC) != 0)
    ::_exit(refuse_probe("no pipe could be made"));
  set_nonblocking(out[0]);
  const int child[3] = {null, out[1], out[1]};
  TextOf<600> why;
  const char* limit = probe.spec.first(kKeyTimeout);
  const std::int64_t deadline =
      monotonic_ms() + static_cast<std::int64_t>(limit == nullptr ? 0 : parse_number(limit));
  int code = 125;
  probe.main = probe.process->start_probe(probe.spec, child, &probe.report, why, &code);
  if (probe.main < 0) {
    reply(code, true, why.data(), static_cast<int>(why.size()));
    ::_exit(0);
  }
  ::close(out[1]);
  bool late = false, alone = false;
  while (!probe.over && !late && !alone) {
    const std::int64_t left = deadline - monotonic_ms();
    late = left <= 0;
    pollfd fds[3] = {{signals, POLLIN, 0}, {out[0], POLLIN, 0}, {kShimControl, POLLIN, 0}};
    if (late || ::poll(fds, 3, static_cast<int>(left)) < 0) continue;
    if (fds[1].revents != 0 && !read_some(out[0]) && (fds[1].revents & POLLHUP) != 0) {
      ::close(out[0]);
      out[0] = -1;
    }
    if (fds[0].revents != 0) {
      signalfd_siginfo drained;
      while (::read(signals, &drained, sizeof drained) > 0) {
      }
      (void)reap(reaped, nullptr);
    }
    alone = fds[2].revents != 0;  // the server sends nothing: it has closed
  }
  while (!late && out[0] >= 0 && read_some(out[0])) {
  }
  pid_t unkilled = 0;
  (void)kill_below(probe.proc, ::getpid(), 2000, reaped, nullptr, &unkilled);
  if (alone) ::_exit(0);
  if (late) {
    reply(-1, false, probe.output, probe.have);
  } else {
    const int status = probe.status;
    const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    const ssize_t why_not = ::read(probe.report, probe.output, sizeof probe.output);
    if (why_not > 0) probe.have = static_cast<int>(why_not);
    reply(exit_code, why_not > 0, probe.output, probe.have);
  }
  ::_exit(0);
}

}  // namespace

int probe_mode() {
  const char* why = "";
  TextOf<300> text;
  if (!read_spec(probe.spec, &probe.proc, &why)) return refuse_probe(why);
  probe.process = &process_of(probe.spec.kind);
  if (!probe.process->join(probe.spec, text)) return refuse_probe(text.data());
  const pid_t pid = ::fork();
  if (pid < 0) return refuse_probe("no process could be made");
  if (pid > 0) ::_exit(0);
  work();
}

}  // namespace locald::shim
