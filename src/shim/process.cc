#include "shim/process.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shim/kernel.h"

namespace locald::shim {
namespace {

/// The host's number of the process behind `pidfd`; 0 if unknown.
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

}  // namespace

bool Process::join(const Spec&, Text&) { return true; }

bool Process::starter_ended(int* status) {
  if (::waitpid(starter_, status, WNOHANG) != starter_) return false;
  starter_ = 0;
  return true;
}

StartResult Process::finish_start(const Spec&, int, int, Text&) { return {}; }

void Process::adopt(pid_t pid) {
  pid_ = pid;
  pidfd_ = pidfd_open(pid);
  if (pidfd_ >= 0) ::fcntl(pidfd_, F_SETFD, FD_CLOEXEC);
  host_pid_ = contained_ ? host_number(proc_, pidfd_) : pid;
}

Process::Report Process::read_report(Text& why) {
  // Closed by the execve of the command, or one sentence of why there was none.
  char text[600];
  const ssize_t n = ::read(report_, text, sizeof text);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Report::later;
  ::close(report_);
  report_ = -1;
  if (n <= 0) return Report::executed;
  why.clear();
  why.add(text, static_cast<std::size_t>(n));
  return Report::refused;
}

int Process::accept_console() {
  const int fd = ::accept4(console_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return -1;
  int master = -1;
  char name[64];
  iovec part{name, sizeof name};
  alignas(cmsghdr) char control_data[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control_data;
  message.msg_controllen = sizeof control_data;
  const ssize_t n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS)
    std::memcpy(&master, CMSG_DATA(header), sizeof master);
  ::close(fd);
  ::close(console_);
  console_ = -1;
  return master;
}

void Process::signal(int number) const {
  if (pidfd_ >= 0) pidfd_signal(pidfd_, number);
}

int Process::signal_below_main(int number, Awaited& awaited) const {
  awaited.clear();
  return signal_below(own_proc_, pid_, number, nullptr, &awaited);
}

int Process::signal_all(int number) const {
  return signal_below(own_proc_, ::getpid(), number, nullptr);
}

bool Process::has_children() const { return shim::has_children(own_proc_, ::getpid()); }

KillResult Process::kill(Reaped reaped, void* context) {
  const KillResult result = kill_tree(reaped, context);
  starter_ = 0;
  return result;
}

void Process::ended() {
  if (pidfd_ >= 0) ::close(pidfd_);
  pidfd_ = -1;
}

Process& process_of(Spec::Kind kind) {
  switch (kind) {
    case Spec::Kind::container:
      return container_process();
    case Spec::Kind::exec:
      return exec_process();
    case Spec::Kind::host:
      break;
  }
  return host_process();
}

}  // namespace locald::shim
