#include "server/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "runtime/orphans.h"

namespace locald::server {

Result<std::unique_ptr<Signals>> Signals::watch(EventLoop& loop, std::function<void()> end) {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, s);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  std::unique_ptr<Signals> out(new Signals(loop, std::move(end)));
  out->fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!out->fd_) return Error::from_errno(errno, "signalfd");
  out->watch_ = loop.watch_readable(out->fd_.get(), [s = out.get()] { s->read(); });
  return out;
}

void Signals::read() {
  signalfd_siginfo info{};
  bool stop = false, child = false;
  while (::read(fd_.get(), &info, sizeof info) == sizeof info) {
    stop = stop || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
    child = child || info.ssi_signo == SIGCHLD;
  }
  // Not at once: where many end, or start through a process in between, one look does for all of
  // them.
  if (child) reap_soon();
  if (stop) end_();
}

void Signals::reap_soon() {
  if (reaping_) return;
  reaping_ = true;
  timer_ = loop_.after(std::chrono::milliseconds(20), [this] {
    reaping_ = false;
    if (!runtime::reap_orphans()) reap_soon();
  });
}

}  // namespace locald::server
