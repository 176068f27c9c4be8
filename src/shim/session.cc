#include "shim/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

constexpr int kKillLimitMs = 10'000;  // of the proof that nothing is left
constexpr int kHoldLimitMs = 10'000;  // for the first client of an instance that has ended already
constexpr int kExecuteLimitMs = 1'000;  // for runc's init to become the command
constexpr int kFlushLimitMs = 1'000;    // for clients that are only watching
constexpr int kTrimAfterMs = 1'000;
constexpr int kPipeSize = 1 << 20;
constexpr std::size_t kBufferSize = 256 << 10;
static_assert(kBufferSize <= kFrameMax && kBufferSize <= kLogPieceMax);

// Touched as far as one read fills it; trim() gives it back.
alignas(4096) char buffer[kBufferSize];

int until(std::int64_t deadline_ms, std::int64_t now_ms, int before) {
  if (deadline_ms == 0) return before;
  const std::int64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
  return before < 0 || left < before ? static_cast<int>(left) : before;
}

}  // namespace

void Session::run() {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t mask;
  sigemptyset(&mask);
  for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&mask, s);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = ::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

  char self[16] = {};
  if (::readlinkat(proc, "self", self, sizeof self - 1) > 0)
    shim_pid_ = static_cast<pid_t>(parse_number(self));
  if (own_proc < 0) own_proc = proc;
  clients_[0].open(control);
  clients_[0].greeted = true;
  clients_[0].role = AttachRole::control;
  started_ns_ = wall_ns();
  hold_waits_ = spec.hold;
  rows_ = spec.rows, columns_ = spec.columns;
  const bool known = write_instance();
  const int known_errno = errno;
  listener_ = listen_control(folder);
  const int listen_errno = errno;
  (void)!::chdir("/");
  if (spec.log) log_.open(log_folder, spec.log_max, spec.nonce, started_ns_);
  const FrameStatus now = status();
  broadcast(Frame::status, &now, sizeof now);

  int child[3] = {-1, -1, -1};
  if (!known) {
    reason.add("instance.json cannot be written: ").add(error_text(known_errno));
    fail(125, reason.data());
  } else if (signals_ < 0 || listener_ < 0) {
    reason.add("the control socket cannot be made: ").add(error_text(listen_errno));
    fail(125, reason.data());
  } else if (make_stdio(child)) {
    if (spec.kind == Spec::Kind::host)
      start_host(*this, child);
    else
      start_container(*this, child);
  }
  for (int fd : child)
    if (fd >= 0) ::close(fd);
  if (state_ != State::done && runc_pid == 0) spec.release();
  loop();
  finish();
  linger();
  ::_exit(0);
}

FrameStatus Session::status() const {
  const ShimState shown = state_ == State::starting  ? ShimState::starting
                          : state_ == State::running ? ShimState::running
                                                     : ShimState::ending;
  return {kAttachVersion, shown, host_pid_, shim_pid_, state_ == State::starting ? 0 : started_ns_};
}

bool Session::make_stdio(int child[3]) {
  if (spec.tty) {
    if (spec.kind != Spec::Kind::host) {  // runc makes the terminal and sends its master
      for (int i = 0; i < 3; ++i) child[i] = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      return true;
    }
    master = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int unlock = 0;
    int slave = -1;
    if (master >= 0 && ::ioctl(master, TIOCSPTLCK, &unlock) == 0)
      slave = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
      reason.add("no terminal could be made: ").add(error_text(errno));
      return fail(125, reason.data()), false;
    }
    const winsize size{rows_, columns_, 0, 0};
    ::ioctl(master, TIOCSWINSZ, &size);
    set_nonblocking(master);
    out_ = in_ = master;
    child[0] = slave;
    child[1] = ::fcntl(slave, F_DUPFD_CLOEXEC, 3);
    child[2] = ::fcntl(slave, F_DUPFD_CLOEXEC, 3);
    return true;
  }
  int in[2] = {-1, -1}, out[2], err[2];
  bool ok = ::pipe2(out, O_CLOEXEC) == 0 && ::pipe2(err, O_CLOEXEC) == 0;
  if (ok && spec.open_stdin) ok = ::pipe2(in, O_CLOEXEC) == 0;
  if (ok && !spec.open_stdin) ok = (in[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
  if (!ok) {
    reason.add("no pipe could be made: ").add(error_text(errno));
    return fail(125, reason.data()), false;
  }
  out_ = out[0], err_ = err[0], in_ = in[1];
  set_nonblocking(out_), set_nonblocking(err_);
  if (in_ >= 0) set_nonblocking(in_);
  child[0] = in[0], child[1] = out[1], child[2] = err[1];
  return true;
}

/// False: nobody could ever find this instance. Its server died and the next one has cleaned the
/// folder away. The copy comes first: a living shim is recorded, also if the run folder is deleted
/// and the server is killed before it has heard of us.
bool Session::write_instance() {
  const char* prefix = spec.first(kKeyInstance);
  if (prefix == nullptr || folder < 0) return false;
  // Meta is the server's and of any length below a page or two; the tail is ours.
  const std::size_t n = std::strlen(prefix);
  char* memory = n + 256 <= kBufferSize ? buffer : nullptr;
  if (memory == nullptr) return false;
  Text text(memory, kBufferSize);
  text.add(prefix, n).add(",\"shim_pid\":").number(shim_pid_).add(",\"shim_start\":");
  text.number(static_cast<std::int64_t>(own_start_time(proc))).add("}\n");
  if (text.size() <= sizeof identity_) {
    std::memcpy(identity_, text.data(), text.size());
    identity_used_ = text.size();
  }
  TextOf<64> copy;
  copy.add(spec.id).add(".json");
  if (kept >= 0) (void)write_file(kept, copy.data(), text.data(), text.size());
  struct stat st {};
  const bool known = write_file(folder, kInstanceFile, text.data(), text.size()) &&
                     ::fstat(folder, &st) == 0 && st.st_nlink > 0;
  const int why = errno;
  if (kept >= 0 && !known) ::unlinkat(kept, copy.data(), 0);
  ::close(kept);  // or its mount stays busy for our lifetime
  errno = why;
  return known;
}

void Session::set_main(pid_t pid) {
  main_pid_ = pid;
  main_pidfd_ = pidfd_open(pid);
  if (main_pidfd_ >= 0) ::fcntl(main_pidfd_, F_SETFD, FD_CLOEXEC);
  host_pid_ = spec.kind == Spec::Kind::host ? pid : host_number(proc, main_pidfd_);
  started_ns_ = wall_ns();
  state_ = State::running;
  if (report < 0 && executed()) command_runs();
}

/// Runc has let its init go, which becomes the command now: within microseconds, or never. What
/// ended instead has never run, and `started` is not said of it.
bool Session::executed() const {
  if (spec.kind == Spec::Kind::host) return true;
  const auto limit = monotonic_ms() + kExecuteLimitMs;
  while (is_runc_init(own_proc, main_pid_)) {
    constexpr timespec kPause{0, 200'000};
    pollfd ended{main_pidfd_, POLLIN, 0};
    if (::ppoll(&ended, 1, &kPause, nullptr) == 1) return !is_runc_init(own_proc, main_pid_);
    if (monotonic_ms() >= limit) return true;
  }
  return true;
}

void Session::command_runs() {
  const FrameStatus now = status();
  broadcast(Frame::started, &now, sizeof now);
  if (stopping_ && stop_signal_ != 0 && main_pidfd_ >= 0)
    pidfd_signal(main_pidfd_, stop_signal_);  // asked for before
}

/// Closed by the execve of the command, or one sentence of why there was none.
void Session::read_report() {
  char text[600];
  const ssize_t n = ::read(report, text, sizeof text);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  ::close(report);
  report = -1;
  if (n <= 0) return command_runs();
  never_ran_ = true;
  reason.clear();
  reason.add(text, static_cast<std::size_t>(n));
}

void Session::fail(int code, const char* text) {
  never_ran_ = true;
  if (text != reason.data()) reason.clear(), reason.add(text);
  exit_ = {code, 0, wall_ns(), 0};
  main_over_ = true;
  state_ = State::done;
  // Who started it for its output is still to come, and hears it from us.
  if (hold_waits_ && listener_ >= 0) {
    state_ = State::draining;
    deadline_ms_ = monotonic_ms() + kHoldLimitMs;
  }
}

void Session::broadcast(Frame type, const void* data, std::size_t size, const void* more,
                        std::size_t more_size) {
  for (Client& client : clients_)
    if (client.is_open() && client.greeted) client.send(type, data, size, more, more_size);
}

// --- output ---------------------------------------------------------------

bool Session::output_waits() const {
  if (hold_waits_ || runc_pid != 0) return true;  // runc's own words are not the command's
  for (const Client& client : clients_)
    if (client.is_open() && client.is_output && client.pending()) return true;
  return false;
}

void Session::drop_output() {
  for (const int fd : {out_, err_}) {
    ssize_t n = fd < 0 ? 0 : 1;
    while (n > 0 || (n < 0 && errno == EINTR)) n = ::read(fd, buffer, sizeof buffer);
  }
}

/// One read. True while there may be more at once.
bool Session::read_output(int& fd, LogStream stream) {
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
  if (n <= 0) {  // a terminal says EIO when its last user is gone
    if (fd != master) ::close(fd);
    fd = -1;
    return false;
  }
  const auto size = static_cast<std::size_t>(n);
  // A pipe that was full belongs to somebody who writes much. Not before: the pages
  // of all pipes of a user are counted together.
  if (size == 64 << 10 && fd != master) (void)::fcntl(fd, F_SETPIPE_SZ, kPipeSize);
  if (early_used_ < sizeof early_ - 1 && (stream == LogStream::err || spec.tty)) {
    const std::size_t part =
        size < sizeof early_ - 1 - early_used_ ? size : sizeof early_ - 1 - early_used_;
    std::memcpy(early_ + early_used_, buffer, part);
    early_used_ += part;
  }
  log_.append(stream, buffer, size);
  for (Client& client : clients_)
    if (client.is_open() && client.greeted && client.role == AttachRole::attach)
      client.send(stream == LogStream::err ? Frame::err : Frame::out, buffer, size);
  if (size > 8192) trim_at_ms_ = monotonic_ms() + kTrimAfterMs;
  return true;
}

/// Quiet again after much output: the buffer's pages go back to the kernel.
void Session::trim() {
  ::madvise(buffer, sizeof buffer, MADV_DONTNEED);
  trim_at_ms_ = 0;
}

// --- children -------------------------------------------------------------

void Session::reaped(void* self, pid_t pid, int status) {
  auto* s = static_cast<Session*>(self);
  if (pid == s->main_pid_ && !s->main_over_) s->main_ended(status, false);
  if (pid == s->runc_pid) s->runc_pid = 0;
}

void Session::children_ended() {
  signalfd_siginfo drained;
  while (::read(signals_, &drained, sizeof drained) == static_cast<ssize_t>(sizeof drained))
    if (drained.ssi_signo != SIGCHLD && !stopping_)
      begin_stop(SIGTERM, 10'000);  // asked from outside: end well
  if (runc_pid != 0) {
    // Until runc has said which child is the container's, none may be reaped: it could be that one.
    int status = 0;
    if (::waitpid(runc_pid, &status, WNOHANG) != runc_pid) return;
    runc_pid = 0;
    runc_ended(*this, status);
    spec.release();
  }
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0)
      break;
    const bool is_main = info.si_pid == main_pid_ && !main_over_;
    const bool never_executed = is_main && spec.kind != Spec::Kind::host &&
                                info.si_code == CLD_EXITED && is_runc_init(own_proc, info.si_pid);
    int status = 0;
    if (::waitpid(info.si_pid, &status, __WALL) < 0) break;
    if (is_main) main_ended(status, never_executed);
  }
  if (main_over_ && state_ == State::running) end_tree();
  if (state_ == State::ending && !has_children(own_proc, ::getpid())) kill_all();
}

void Session::main_ended(int status, bool never_executed) {
  if (report >= 0) read_report();
  main_over_ = true;
  exit_.ended_ns = wall_ns();
  exit_.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  exit_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (main_pidfd_ >= 0) ::close(main_pidfd_);
  main_pidfd_ = -1;
  if (!never_executed) return;
  // What runc's init wrote is the reason; nobody else can have written.
  if (early_used_ == 0) {
    int fd = spec.tty ? out_ : err_;
    const ssize_t n = fd < 0 ? -1 : ::read(fd, early_, sizeof early_ - 1);
    early_used_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  early_[early_used_] = '\0';
  while (early_used_ > 0 && (early_[early_used_ - 1] == '\n' || early_[early_used_ - 1] == '\r'))
    early_[--early_used_] = '\0';
  never_ran_ = true;
  reason.clear();
  if (early_used_ > 0)
    explain_runc(early_, reason);
  else
    reason.add("the command was not executed");
  exit_.code = code_of_runc_text(early_);
}

/// The main process has ended: what of its tree is left?
void Session::end_tree() {
  state_ = State::ending;
  if (spec.kind == Spec::Kind::host && stopping_ && stop_signal_ != SIGKILL &&
      monotonic_ms() < deadline_ms_) {
    // sh -c 'a | b' dies at once and leaves a and b, which have heard nothing yet: they get what is
    // left of the time.
    if (signal_below(own_proc, ::getpid(), stop_signal_, nullptr) > 0) return;
  }
  if (spec.kind == Spec::Kind::exec) {  // what it left behind belongs to the container
    state_ = State::draining;
    deadline_ms_ = hold_waits_ ? monotonic_ms() + kHoldLimitMs : 0;
    return;
  }
  kill_all();
}

void Session::kill_all() {
  pid_t left = 0;
  TreeEnd end = TreeEnd::gone;
  if (spec.kind == Spec::Kind::exec) {
    if (runc_pid != 0) ::kill(runc_pid, SIGKILL);
    if (main_pidfd_ >= 0) {
      signal_below(own_proc, main_pid_, SIGKILL, nullptr);
      pidfd_signal(main_pidfd_, SIGKILL);
      // Its end comes as any other; a process that cannot die (D state) does not keep us for ever.
      deadline_ms_ = monotonic_ms() + kKillLimitMs;
      if (state_ == State::running || state_ == State::starting) {
        stop_signal_ = -1;
        return;
      }
    }
  } else if (spec.kind == Spec::Kind::container) {
    end = kill_namespace(kKillLimitMs, reaped, this);
  } else {
    end = kill_below(own_proc, ::getpid(), kKillLimitMs, reaped, this, &left);
  }
  runc_pid = 0;
  if (end != TreeEnd::gone) {
    if (!reason.empty()) reason.add("; ");
    reason.add("process ").number(left);
    reason.add(end == TreeEnd::refused ? " could not be killed: it runs as another user"
                                       : " could not be killed in 10 s");
  }
  if (!main_over_) {
    main_over_ = true;
    exit_ = {-1, 0, wall_ns(), 0};
    if (main_pid_ == 0) {
      never_ran_ = true;
      exit_.code = 125;
      reason.add("stopped before it had started");
    }
  }
  state_ = State::draining;
  deadline_ms_ = hold_waits_ ? monotonic_ms() + kHoldLimitMs : 0;
}

void Session::begin_stop(int signal, std::uint32_t timeout_ms) {
  if (state_ == State::draining || state_ == State::done) return;
  stopping_ = true;
  if (timeout_ms == 0) {
    stop_signal_ = SIGKILL;
    kill_all();
    return;
  }
  stop_signal_ = signal != 0 ? signal : spec.stop_signal;
  deadline_ms_ = monotonic_ms() + timeout_ms;
  // Before the command runs nobody would hear it; command_runs() sends it then.
  if (main_pidfd_ >= 0 && report < 0) pidfd_signal(main_pidfd_, stop_signal_);
}

// --- clients --------------------------------------------------------------

void Session::accept_client() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  Client* place = nullptr;
  for (Client& client : clients_)
    if (place == nullptr && !client.is_open()) place = &client;
  // Who does not say who it is makes room: a server that takes over must get in.
  for (int tries = 0; tries < kClients && place == nullptr; ++tries) {
    if (!clients_[silent_].greeted) place = &clients_[silent_];
    silent_ = (silent_ + 1) % kClients;
  }
  if (place == nullptr || !peer_allowed(fd, proc, spec.kind != Spec::Kind::host)) {
    ::close(fd);
    return;
  }
  place->close();
  place->open(fd);
}

void Session::serve(Client& client) {
  const bool alive = client.receive();
  const char* body = nullptr;
  while (const FrameHeader* header = client.frame(&body)) {
    const std::uint32_t length = header->length;
    if (!handle(client, *header, body)) break;
    if (!client.is_open()) return;
    client.consume(length);
  }
  if (!alive) client.close();
}

/// False: the frame cannot be dealt with yet (stdin is full).
bool Session::handle(Client& client, const FrameHeader& header, const char* body) {
  const auto type = static_cast<Frame>(header.type);
  auto is = [&](Frame wanted, std::size_t size) { return type == wanted && header.length == size; };
  if (!client.greeted) {
    FrameHello hello{};
    if (is(Frame::hello, sizeof hello)) std::memcpy(&hello, body, sizeof hello);
    if (hello.version == kAttachVersion && hello.role == AttachRole::identify) {
      client.send(Frame::identity, identity_, identity_used_);
      return client.close(), true;
    }
    if (hello.version != kAttachVersion ||
        std::memcmp(hello.nonce, spec.nonce, sizeof hello.nonce) != 0)
      return client.close(), true;
    client.greeted = true;
    client.role = hello.role == AttachRole::control ? AttachRole::control : AttachRole::attach;
    int attached = 0;
    for (const Client& other : clients_)
      if (other.is_open() && other.greeted && other.role == AttachRole::attach) ++attached;
    if (attached == kClients) return client.close(), true;  // one place is a server's
    const FrameStatus now = status();
    client.send(Frame::status, &now, sizeof now);
    if (client.role == AttachRole::attach && hold_waits_) {
      hold_waits_ = false;
      client.is_output = true;
      if (state_ == State::draining) deadline_ms_ = 0;
    }
    return true;
  }
  std::int32_t number = 0;
  if (is(Frame::signal, sizeof number)) {
    std::memcpy(&number, body, sizeof number);
    if (main_pidfd_ >= 0 && number > 0 && number <= 64) pidfd_signal(main_pidfd_, number);
  } else if (is(Frame::stop, sizeof(FrameStop)) && client.role == AttachRole::control) {
    FrameStop stop{};
    std::memcpy(&stop, body, sizeof stop);
    begin_stop(stop.signal, stop.timeout_ms);
  } else if (type == Frame::folder && client.role == AttachRole::control) {
    take_folder(client);
  } else if (is(Frame::resize, sizeof(FrameResize))) {
    FrameResize size{};
    std::memcpy(&size, body, sizeof size);
    rows_ = size.rows, columns_ = size.columns;
    const winsize window{rows_, columns_, 0, 0};
    if (master >= 0) ::ioctl(master, TIOCSWINSZ, &window);
  } else if (type == Frame::in) {
    return feed_stdin(client, header, body);
  } else if (type == Frame::in_end) {
    if (spec.tty && in_ >= 0) {
      const char end = 4;  // VEOF: what a person would type
      (void)!::write(in_, &end, 1);
    } else if (in_ >= 0) {
      ::close(in_);
      in_ = -1;
    }
  }
  return true;
}

/// The folder that we have is deleted, or will be of no use: its successor has all but the socket.
void Session::take_folder(Client& client) {
  const int given = client.passed;
  if (given < 0) return;
  client.passed = -1;
  const int listener = listen_control(given);
  (void)!::chdir("/");
  if (listener < 0) {
    ::close(given);
    return;
  }
  if (listener_ >= 0) ::close(listener_);
  ::close(folder);
  listener_ = listener;
  folder = given;
}

bool Session::feed_stdin(Client& client, const FrameHeader& header, const char* body) {
  if (spec.tty && master < 0 && state_ == State::starting)
    return stdin_full_ = true, false;  // typed ahead
  while (in_ >= 0 && client.frame_done < header.length) {
    const ssize_t n = ::write(in_, body + client.frame_done, header.length - client.frame_done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return stdin_full_ = true, false;
    if (n < 0) {  // nobody reads it any more
      if (in_ != master) ::close(in_);
      in_ = -1;
      break;
    }
    client.frame_done += static_cast<std::uint32_t>(n);
  }
  return true;
}

void Session::accept_console() {
  const int fd = ::accept4(console_listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
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
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&master, CMSG_DATA(header), sizeof master);
    set_nonblocking(master);
    out_ = in_ = master;
    if (rows_ != spec.rows || columns_ != spec.columns) {  // resized since; else runc has set it
      const winsize window{rows_, columns_, 0, 0};
      ::ioctl(master, TIOCSWINSZ, &window);
    }
  }
  ::close(fd);
  ::close(console_listener);
  console_listener = -1;
}

// --- the loop -------------------------------------------------------------

void Session::loop() {
  while (state_ != State::done) {
    pollfd fds[7 + kClients];
    int n = 0;
    auto watch = [&](int fd, short events) {
      fds[n] = {fd, events, 0};
      return n++;
    };
    const bool hold = output_waits(), draining = state_ == State::draining;
    const int at_signals = watch(signals_, POLLIN);
    const int at_listener = watch(listener_, POLLIN);
    const int at_out = watch(hold ? -1 : out_, POLLIN);
    const int at_err = watch(hold ? -1 : err_, POLLIN);
    const int at_in = watch(stdin_full_ ? in_ : -1, POLLOUT);
    const int at_console = watch(console_listener, POLLIN);
    const int at_report = watch(main_pid_ != 0 ? report : -1, POLLIN);
    const int first_client = n;
    for (const Client& client : clients_) {
      short events = client.pending() ? POLLOUT : 0;
      if (client.can_receive()) events |= POLLIN;
      watch(client.fd(), events);
    }
    const std::int64_t before = monotonic_ms();
    int timeout = until(deadline_ms_, before, -1);
    timeout = until(trim_at_ms_, before, timeout);
    if (draining && !hold) timeout = 0;
    const int ready = ::poll(fds, static_cast<nfds_t>(n), timeout);
    if (ready < 0 && errno != EINTR) ::abort();
    const std::int64_t now = monotonic_ms();
    if (ready <= 0)
      for (int i = 0; i < n; ++i) fds[i].revents = 0;

    for (int i = 0; i < kClients; ++i) {
      const short events = fds[first_client + i].revents;
      Client& client = clients_[i];
      if (events == 0 || !client.is_open()) continue;
      if ((events & POLLOUT) != 0) client.flush();
      if (client.is_open() && (events & (POLLIN | POLLHUP | POLLERR)) != 0) serve(client);
      if (client.is_open() && (events & (POLLHUP | POLLERR)) != 0) client.close();
    }
    if (fds[at_console].revents != 0) accept_console();
    if (fds[at_in].revents != 0 || fds[at_console].revents != 0) {
      stdin_full_ = false;  // what waited for room, or for the terminal, goes on
      for (Client& client : clients_)
        if (client.is_open() && client.greeted) serve(client);
    }
    bool more = false;
    if (fds[at_out].revents != 0 && out_ >= 0) more |= read_output(out_, LogStream::out);
    if (fds[at_err].revents != 0 && err_ >= 0) more |= read_output(err_, LogStream::err);
    if (fds[at_report].revents != 0 && report >= 0) read_report();
    if (fds[at_signals].revents != 0) children_ended();
    if (fds[at_listener].revents != 0) accept_client();
    if (trim_at_ms_ != 0 && now >= trim_at_ms_) trim();
    if (deadline_ms_ != 0 && now >= deadline_ms_) {
      deadline_ms_ = 0;
      if (state_ == State::draining) {
        hold_waits_ = false;
      } else if (stop_signal_ == -1) {  // exec: killed, and still there
        reason.add("the command could not be killed in 10 s");
        state_ = State::draining;
      } else {
        kill_all();
      }
    }
    // Nothing is left of the tree: what is in the pipes is all that will ever come. The poll must
    // be younger than that knowledge, and have seen the terminal, if one came just now.
    const bool quiet = draining && !hold && !more && fds[at_out].revents == 0 &&
                       fds[at_err].revents == 0 && fds[at_console].revents == 0;
    if (state_ == State::draining && quiet && ready >= 0 && !output_waits()) state_ = State::done;
  }
}

void Session::write_exit() {
  TextOf<2600> text;
  text.add("{\"format\":1,\"nonce\":\"").json(spec.nonce).add("\",\"code\":");
  if (exit_.code >= 0)
    text.number(exit_.code);
  else
    text.add("null");
  text.add(",\"signal\":");
  if (exit_.signal != 0)
    text.number(exit_.signal);
  else
    text.add("null");
  text.add(",\"never_ran\":").add(never_ran_ ? "true" : "false");
  text.add(",\"ended_ns\":").number(static_cast<std::int64_t>(exit_.ended_ns));
  text.add(",\"dropped_bytes\":").number(static_cast<std::int64_t>(exit_.dropped_bytes));
  text.add(",\"reason\":\"").json(reason.data(), reason.size()).add("\"}\n");
  (void)write_file(folder, kExitFile, text.data(), text.size());
}

void Session::finish() {
  log_.close();
  exit_.dropped_bytes = log_.dropped();
  if (spec.kind == Spec::Kind::container) unmount_rootfs(*this);
  if (folder >= 0) write_exit();
  // R-EXIT: after exit.json.
  if (never_ran_)
    broadcast(Frame::failed, &exit_, sizeof exit_, reason.data(), reason.size());
  else
    broadcast(Frame::exited, &exit_, sizeof exit_, reason.data(), reason.size());
  if (listener_ >= 0) ::close(listener_), ::unlinkat(folder, kControlSocket, 0);
  listener_ = -1;
}

/// The instance is over; what its clients have not read yet stays with them: a client that *is*
/// the output for as long as it likes, one that only watches for a second.
void Session::linger() {
  const std::int64_t deadline = monotonic_ms() + kFlushLimitMs;
  for (;;) {
    const std::int64_t now = monotonic_ms();
    pollfd fds[kClients];
    int waiting = 0;
    bool unbounded = false;
    for (int i = 0; i < kClients; ++i) {
      Client& client = clients_[i];
      fds[i] = {-1, POLLOUT, 0};
      if (!client.is_open() || !client.pending()) continue;
      if (!client.is_output && now >= deadline) continue;
      unbounded = unbounded || client.is_output;
      fds[i].fd = client.fd();
      ++waiting;
    }
    if (waiting == 0) return;
    if (::poll(fds, kClients, unbounded && now >= deadline ? -1 : until(deadline, now, -1)) < 0 &&
        errno != EINTR)
      return;
    for (int i = 0; i < kClients; ++i)
      if (fds[i].fd >= 0 && fds[i].revents != 0) clients_[i].flush();
  }
}

}  // namespace locald::shim
