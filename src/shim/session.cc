#include "shim/session.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
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
#include "shim/runc.h"

namespace locald::shim {
namespace {

constexpr std::uint32_t kOutsideStopMs = 10'000;  // where a signal to the shim asks for the end

/// The time in ms that poll(2) may take: until the deadline (0: none), and not longer than `before`
/// (-1: any time).
int until(std::int64_t deadline_ms, std::int64_t now_ms, int before) {
  if (deadline_ms == 0) return before;
  const std::int64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
  return before < 0 || left < before ? static_cast<int>(left) : before;
}

}  // namespace

void Session::run(Spec& spec, Process& process, const Handed& handed) {
  spec_ = &spec;
  process_ = &process;
  proc_ = handed.proc;
  folder_ = handed.folder;
  prepare_signals();
  char self[16] = {};
  if (::readlinkat(proc_, "self", self, sizeof self - 1) > 0)
    shim_pid_ = static_cast<pid_t>(parse_number(self));
  clients_.open_control(handed.control);
  started_ns_ = wall_ns();
  const bool known = record_.write(spec, proc_, shim_pid_, folder_, handed.kept);
  const int known_errno = errno;
  listener_ = listen_control(folder_);
  const int listen_errno = errno;
  (void)!::chdir("/");
  state_.rest = process.rest();
  state_.hold = spec.hold && listener_ >= 0;
  if (spec.log) log_.open(handed.log_folder, spec.log_max, spec.nonce, started_ns_);
  const FrameStatus now = status();
  clients_.broadcast(Frame::status, &now, sizeof now);

  if (!known) {
    reason_.add("instance.json cannot be written: ").add(error_text(known_errno));
    fail(125);
  } else if (signals_ < 0 || listener_ < 0) {
    reason_.add("the control socket cannot be made: ").add(error_text(listen_errno));
    fail(125);
  } else {
    start();
  }
  if (!reported_ && !process.starting()) spec.release();
  loop();
  finish();
  clients_.linger();
  ::_exit(0);
}

void Session::prepare_signals() {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t mask;
  sigemptyset(&mask);
  for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&mask, s);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = ::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

void Session::start() {
  int child[3] = {-1, -1, -1};
  if (!stdio_.open(*spec_, /*sent=*/process_->contained(), child, reason_))
    fail(125);
  else
    main_runs(process_->start(*spec_, proc_, folder_, child, reason_));
  for (int fd : child)
    if (fd >= 0) ::close(fd);
}

// --- the instance's state ---------------------------------------------------

void Session::apply(const Step& step) {
  state_ = step.state;
  // The answer to an action is another step: nothing of this one is left then.
  for (int i = 0; i < step.count; ++i) perform(step.actions[i]);
}

void Session::perform(const Action& action) {
  switch (action.type) {
    case Action::Type::announce: {
      const FrameStatus now = status();
      return clients_.broadcast(Frame::started, &now, sizeof now);
    }
    case Action::Type::signal_main:
      process_->signal(action.number);
      if (!process_->hears(action.number))
        apply(step(state_, event::Deaf{process_->signal_below_main(action.number, asked_)}));
      return;
    case Action::Type::signal_tree:
      return apply(step(state_, event::TreeAsked{process_->signal_all(action.number)}));
    case Action::Type::kill_tree:
      return kill_tree();
    case Action::Type::record_unstarted:
      exit_ = {125, 0, wall_ns(), 0};
      reason_.add("stopped before it had started");
      return;
    case Action::Type::record_unknown:
      exit_ = {-1, 0, wall_ns(), 0};
      return;
    case Action::Type::record_unkillable:
      reason_.add("the command could not be killed in 10 s");
      return;
    case Action::Type::report:
      reported_ = true;
      return;
  }
}

/// Nothing was started; reason_ says why. `code` is 125, 126 or 127.
void Session::fail(int code) {
  exit_ = {code, 0, wall_ns(), 0};
  apply(step(state_, event::Failed{monotonic_ms()}));
}

void Session::main_runs(const StartResult& result) {
  if (result.on_stderr) stdio_.drop_output();
  if (result.code != 0) return fail(result.code);
  if (process_->starting()) return;
  started_ns_ = wall_ns();
  apply(step(state_, event::Spawned{}));
  if (process_->executed()) apply(step(state_, event::Executed{}));
}

void Session::read_report() {
  switch (process_->read_report(reason_)) {
    case Process::Report::later:
      return;
    case Process::Report::executed:
      return apply(step(state_, event::Executed{}));
    case Process::Report::refused:
      return apply(step(state_, event::NotExecuted{}));
  }
}

void Session::stop(int signal, std::uint32_t timeout_ms) {
  apply(step(state_, event::Stop{signal, timeout_ms, monotonic_ms()}));
}

void Session::kill_tree() {
  const KillResult result = process_->kill(reaped, this);
  if (result.end != TreeEnd::gone) {
    if (!reason_.empty()) reason_.add("; ");
    reason_.add("process ").number(result.left);
    reason_.add(result.end == TreeEnd::refused ? " could not be killed: it runs as another user"
                                               : " could not be killed in 10 s");
  }
  apply(step(state_, event::Killed{monotonic_ms(), result.pending}));
}

// --- children -------------------------------------------------------------

void Session::reaped(void* self, pid_t pid, int status) {
  auto* s = static_cast<Session*>(self);
  if (pid == s->process_->pid() && !s->state_.main_over) s->main_ended(status, false);
}

void Session::children_ended() {
  signalfd_siginfo drained;
  while (::read(signals_, &drained, sizeof drained) == static_cast<ssize_t>(sizeof drained))
    if (drained.ssi_signo != SIGCHLD && !state_.stopping)
      stop(SIGTERM, kOutsideStopMs);  // asked from outside: end well
  if (process_->starting()) {
    // Until runc has said which child is the container's, none may be reaped: it could be that one.
    int status = 0;
    if (!process_->starter_ended(&status)) return;
    main_runs(process_->finish_start(*spec_, folder_, status, reason_));
    spec_->release();
  }
  bool over = false, never_executed = false;
  int main_status = 0;
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0)
      break;
    const bool is_main = info.si_pid == process_->pid() && !state_.main_over && !over;
    const bool never = is_main && process_->never_executed(info);
    int status = 0;
    if (::waitpid(info.si_pid, &status, __WALL) < 0) break;
    if (is_main) over = true, never_executed = never, main_status = status;
  }
  // What the end of the main process leads to looks at what is left: all others are reaped by now.
  if (over) main_ended(main_status, never_executed);
  if (state_.phase == Phase::ending && !process_->has_children())
    apply(step(state_, event::TreeEmpty{}));
}

/// Its exit status is recorded before anybody hears of the end.
void Session::main_ended(int status, bool never_executed) {
  if (process_->report() >= 0) read_report();
  exit_.ended_ns = wall_ns();
  exit_.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  exit_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  process_->ended();
  if (never_executed) {
    // What runc's init wrote is the reason; nobody else can have written.
    const char* words = stdio_.first_words();
    reason_.clear();
    if (*words != '\0')
      explain_runc(words, reason_, process_->root());
    else
      reason_.add("the command was not executed");
    exit_.code = code_of_runc_text(words);
  }
  apply(step(state_, event::MainEnded{monotonic_ms(), never_executed}));
}

// --- the loop -------------------------------------------------------------

/// Output is left in the pipes: until its first client comes or has taken what was sent, and while
/// runc works, whose words are not the command's.
bool Session::output_waits() const {
  return state_.hold || process_->starting() || clients_.output_pending();
}

void Session::accept_console() {
  if (const int master = process_->accept_console(); master >= 0) stdio_.take_terminal(master);
}

void Session::loop() {
  while (!reported_) {
    pollfd fds[8 + ClientSet::kPlaces];
    int n = 0;
    auto watch = [&](int fd, short events) {
      fds[n] = {fd, events, 0};
      return n++;
    };
    const bool hold = output_waits(), draining = state_.phase == Phase::draining;
    const int at_signals = watch(signals_, POLLIN);
    const int at_listener = watch(listener_, POLLIN);
    const int at_out = watch(hold ? -1 : stdio_.out(), POLLIN);
    const int at_err = watch(hold ? -1 : stdio_.err(), POLLIN);
    const int at_in = watch(stdio_.blocked_input(), POLLOUT);
    const int at_console = watch(process_->console(), POLLIN);
    const int at_asked = watch(asked_.fd(), POLLIN);
    const int at_report = watch(process_->pid() != 0 ? process_->report() : -1, POLLIN);
    const int first_client = n;
    for (const Client& client : clients_) {
      short events = client.pending() ? POLLOUT : 0;
      if (client.can_receive()) events |= POLLIN;
      watch(client.fd(), events);
    }
    const std::int64_t before = monotonic_ms();
    int timeout = until(state_.deadline_ms, before, -1);
    timeout = until(stdio_.trim_at_ms(), before, timeout);
    if (draining && !hold) timeout = 0;
    const int ready = ::poll(fds, static_cast<nfds_t>(n), timeout);
    if (ready < 0 && errno != EINTR) ::abort();
    const std::int64_t now = monotonic_ms();
    if (ready <= 0)
      for (int i = 0; i < n; ++i) fds[i].revents = 0;

    const pollfd* of_client = fds + first_client;
    for (Client& client : clients_) {
      const short events = (of_client++)->revents;
      if (events == 0 || !client.is_open()) continue;
      if ((events & POLLOUT) != 0) client.flush();
      if (client.is_open() && (events & (POLLIN | POLLHUP | POLLERR)) != 0) serve(client);
      if (client.is_open() && (events & (POLLHUP | POLLERR)) != 0) client.close();
    }
    if (fds[at_console].revents != 0) accept_console();
    if (fds[at_in].revents != 0 || fds[at_console].revents != 0) {
      stdio_.resume_input();  // what waited for room, or for the terminal, goes on
      for (Client& client : clients_)
        if (client.is_open() && client.greeted) serve(client);
    }
    bool more = false;
    if (fds[at_out].revents != 0) more |= stdio_.read(LogStream::out, log_, clients_);
    if (fds[at_err].revents != 0) more |= stdio_.read(LogStream::err, log_, clients_);
    if (fds[at_report].revents != 0 && process_->report() >= 0) read_report();
    if (fds[at_signals].revents != 0) children_ended();
    if (fds[at_asked].revents != 0 && asked_.next()) apply(step(state_, event::AskedEnded{now}));
    if (fds[at_listener].revents != 0) accept_client();
    stdio_.trim(now);
    apply(step(state_, event::Timer{now}));
    // Nothing is left of the tree: what is in the pipes is all that will ever come. The poll must
    // be younger than that knowledge, and have seen the terminal, if one came just now.
    const bool quiet = draining && !hold && !more && fds[at_out].revents == 0 &&
                       fds[at_err].revents == 0 && fds[at_console].revents == 0;
    if (quiet && ready >= 0 && !output_waits()) apply(step(state_, event::Drained{}));
  }
}

void Session::finish() {
  log_.close();
  exit_.dropped_bytes = log_.dropped();
  process_->clean();
  if (folder_ >= 0) write_exit(folder_, spec_->nonce, exit_, state_.never_ran, reason_);
  // R-EXIT: after exit.json.
  clients_.broadcast(state_.never_ran ? Frame::failed : Frame::exited, &exit_, sizeof exit_,
                     reason_.data(), reason_.size());
  if (listener_ >= 0) ::close(listener_), ::unlinkat(folder_, kControlSocket, 0);
  listener_ = -1;
}

}  // namespace locald::shim
