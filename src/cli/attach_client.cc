#include "cli/attach_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/log/attach_protocol.h"
#include "base/sys/sys.h"
#include "cli/print.h"
#include "cli/signals.h"
#include "cli/terminal.h"

namespace locald::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kStdinAhead = 128u << 10;  // bytes of stdin that wait for the shim
constexpr std::chrono::seconds kPipeGrace{2};
constexpr std::chrono::seconds kGreeting{10};          // for the shim's first answer
constexpr std::chrono::seconds kGreetingSignalled{1};  // the same, once we are told to end
constexpr int kPrefixPatience = 250;                   // ms that a lone ctrl-p waits for its ctrl-q
constexpr char kCtrlP = 0x10, kCtrlQ = 0x11;

class Session {
 public:
  Session(const AttachOptions& options, UniqueFd socket, Signals signals)
      : options_(options), socket_(std::move(socket)), signals_(std::move(signals)) {}

  Result<int> run();

 private:
  void send(Frame type, std::string_view payload = {});
  template <typename T>
  void send_struct(Frame type, const T& payload) {
    send(type, std::string_view(reinterpret_cast<const char*>(&payload), sizeof payload));
  }
  void send_size();
  Result<void> read_socket();
  Result<void> write_socket();
  Result<void> read_stdin();
  void handle(Frame type, std::string_view payload);
  void output(int fd, std::string_view bytes);
  void signal(int number);
  void leave(int code) {
    if (code_ < 0) code_ = code;
  }

  const AttachOptions& options_;
  UniqueFd socket_;
  Signals signals_;
  std::optional<RawTerminal> raw_;
  DetachKeys keys_;
  std::string incoming_, outgoing_;
  bool stdin_open_ = false;
  bool greeted_ = false;        // the shim's status has come
  bool stdout_closed_ = false;  // our own output is closed
  Clock::time_point give_up_ = Clock::time_point::max();
  Clock::time_point silent_until_ = Clock::now() + kGreeting;  // while it is not greeted_
  int interrupts_ = 0;
  int code_ = -1;  // the end, once it is >= 0
  std::string why_lost_;
  std::optional<Error> stdin_error_;
};

/// True for a terminal also after it was hung up, when isatty(3) says no.
bool is_terminal_file(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

void Session::send(Frame type, std::string_view payload) {
  const FrameHeader header{
      static_cast<std::uint32_t>(payload.size()), static_cast<std::uint8_t>(type), {}};
  outgoing_.append(reinterpret_cast<const char*>(&header), sizeof header).append(payload);
}

void Session::send_size() {
  if (const auto size = terminal_size(STDIN_FILENO))
    send_struct(Frame::resize, FrameResize{.rows = size->rows, .columns = size->columns});
}

void Session::output(int fd, std::string_view bytes) {
  if (stdout_closed_ || write_to(fd, bytes)) return;
  // Nobody reads, or there is no room (check_output() tells). A process of ours learns it as it
  // would in a pipeline, and has a moment to end; meanwhile we read on, or the shim would not get
  // to our frame.
  stdout_closed_ = true;
  if (!options_.ours) return leave(128 + SIGPIPE);
  send_struct(Frame::signal, std::int32_t{SIGPIPE});
  give_up_ = Clock::now() + kPipeGrace;
}

void Session::handle(Frame type, std::string_view payload) {
  const auto exit_of = [&] {
    FrameExit exit{};
    std::memcpy(&exit, payload.data(), std::min(payload.size(), sizeof exit));
    return exit;
  };
  switch (type) {
    case Frame::status:
      greeted_ = true;
      return;
    case Frame::out:
      return output(STDOUT_FILENO, payload);
    case Frame::err:
      return output(STDERR_FILENO, payload);
    case Frame::exited: {
      if (payload.size() < sizeof(FrameExit)) return;
      const FrameExit exit = exit_of();
      if (exit.code >= 0) return leave(exit.code);
      if (exit.signal > 0) return leave(128 + exit.signal);
      why_lost_ = "the process has ended and its exit status is not known";
      return leave(125);
    }
    case Frame::failed: {
      if (payload.size() < sizeof(FrameExit)) return;
      const FrameExit exit = exit_of();
      raw_.reset();
      print_error(Error(Errc::failed, std::string(payload.substr(sizeof exit))));
      return leave(exit.code > 0 ? exit.code : 125);
    }
    case Frame::lost:
      why_lost_ =
          "the output was not read fast enough, so the connection was closed; the process keeps "
          "running";
      return leave(125);
    default:
      return;  // of a role that we do not have
  }
}

Result<void> Session::read_socket() {
  std::array<char, 64u << 10> buffer;
  const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n <= 0)
    return Error(Errc::failed, greeted_ ? "the process's shim is gone"
                                        : "the process's shim refused the connection")
        .with_hint("see what became of it: locald status");
  incoming_.append(buffer.data(), static_cast<std::size_t>(n));
  std::size_t at = 0;
  FrameHeader header{};
  while (code_ < 0 && incoming_.size() - at >= sizeof header) {
    std::memcpy(&header, incoming_.data() + at, sizeof header);
    if (header.length > kFrameMax)
      return Error(Errc::corrupt, "the shim sent a frame that is too long");
    if (incoming_.size() - at - sizeof header < header.length) break;
    handle(static_cast<Frame>(header.type),
           std::string_view(incoming_).substr(at + sizeof header, header.length));
    at += sizeof header + header.length;
  }
  incoming_.erase(0, at);
  return {};
}

Result<void> Session::write_socket() {
  const ssize_t n =
      ::send(socket_.get(), outgoing_.data(), outgoing_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) outgoing_.erase(0, static_cast<std::size_t>(n));
  // A shim that has closed may have said `exited` before: what it said is read first.
  if (n < 0 && errno != EAGAIN && errno != EINTR) outgoing_.clear();
  return {};
}

Result<void> Session::read_stdin() {
  std::array<char, 32u << 10> buffer;
  const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (n <= 0) {
    // Input that cannot be read on is not at its end: the process had only a part of it. (A
    // terminal that is gone answers EIO, one that is not open for reading EBADF.)
    if (n < 0 && errno != EBADF && !(errno == EIO && is_terminal_file(STDIN_FILENO)))
      stdin_error_ = Error::from_errno(errno, "read stdin")
                         .with_hint("the process was given what came before it");
    stdin_open_ = false;
    send(Frame::in_end);
    return {};
  }
  std::string typed(buffer.data(), static_cast<std::size_t>(n));
  bool detached = false;
  if (options_.detach_keys) typed = keys_.feed(typed, detached);
  if (!typed.empty()) send(Frame::in, typed);
  if (detached) {
    raw_.reset();
    notice("detached; the process keeps running");
    leave(0);
  }
  return {};
}

void Session::signal(int number) {
  // Nobody may ever pass it on.
  if (!greeted_ && number != SIGWINCH && number != SIGCONT)
    silent_until_ = std::min(silent_until_, Clock::now() + kGreetingSignalled);
  switch (number) {
    case SIGWINCH:
      if (options_.tty) send_size();
      return;
    case SIGCONT:
      if (raw_) raw_->again();
      if (options_.tty) send_size();
      return;
    case SIGHUP:
      // Our terminal is gone. A service goes on; a process of ours is told.
      if (options_.ours) send_struct(Frame::signal, std::int32_t{SIGHUP});
      if (!options_.ours || options_.tty) leave(128 + SIGHUP);
      return;
    case SIGINT:
      if (++interrupts_ == 3) return leave(128 + SIGINT);
      [[fallthrough]];
    default:
      send_struct(Frame::signal, std::int32_t{number});
  }
}

Result<int> Session::run() {
  FrameHello hello{.version = kAttachVersion, .role = AttachRole::attach, .nonce = {}};
  options_.nonce.copy(hello.nonce, sizeof hello.nonce);
  send_struct(Frame::hello, hello);
  if (options_.tty) {
    if (options_.forward_stdin && is_terminal(STDIN_FILENO))
      raw_.emplace(TRY(RawTerminal::enter(STDIN_FILENO)));
    send_size();
  }
  stdin_open_ = options_.forward_stdin;
  while (code_ < 0) {
    const bool more_stdin = stdin_open_ && outgoing_.size() < kStdinAhead;
    std::array<pollfd, 3> fds{
        pollfd{socket_.get(), static_cast<short>(outgoing_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
        pollfd{signals_.fd(), POLLIN, 0}, pollfd{more_stdin ? STDIN_FILENO : -1, POLLIN, 0}};
    const int n = ::poll(fds.data(), fds.size(),
                         stdout_closed_ || !greeted_ ? 100
                         : keys_.holding()           ? kPrefixPatience
                                                     : -1);
    if (n < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if (n == 0 && keys_.holding()) send(Frame::in, keys_.flush());
    if (Clock::now() >= give_up_) leave(128 + SIGPIPE);
    if (!greeted_ && Clock::now() >= silent_until_) {
      raw_.reset();
      return Error(Errc::timed_out, "the process's shim does not answer")
          .with_hint("it may be stopped (SIGSTOP), or the machine busy; see: locald status");
    }
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) TRY(read_socket());
    if (code_ >= 0) break;
    while (const auto number = signals_.next()) signal(*number);
    if (fds[2].revents != 0) TRY(read_stdin());
    if (!outgoing_.empty()) TRY(write_socket());
  }
  if (!outgoing_.empty()) TRY(write_socket());
  raw_.reset();
  if (!why_lost_.empty()) print_error(Error(Errc::failed, why_lost_));
  if (stdin_error_) return *stdin_error_;
  return code_;
}

}  // namespace

std::string DetachKeys::feed(std::string_view typed, bool& detached) {
  std::string on;
  for (const char c : typed) {
    if (held_ && c == kCtrlQ) {
      held_ = false;
      detached = true;
      return on;
    }
    if (std::exchange(held_, false)) on += kCtrlP;
    if (c == kCtrlP)
      held_ = true;
    else
      on += c;
  }
  return on;
}

std::string DetachKeys::flush() {
  return std::exchange(held_, false) ? std::string(1, kCtrlP) : std::string();
}

Result<int> attach(const AttachOptions& options) {
  auto connected = sys::unix_connect(options.socket);
  if (!connected && (connected.error().code() == Errc::not_found ||
                     connected.error().sys_errno() == ECONNREFUSED))
    return Error(Errc::failed,
                 "the process's shim is gone: the process ended before it could be attached to")
        .with_hint("see what became of it: locald status");
  UniqueFd socket = TRY(std::move(connected).context("connect to the process's shim"));
  if (const auto peer = TRY(sys::peer_cred(socket.get())); peer.uid != ::geteuid())
    return Error(Errc::denied, options.socket + " belongs to user " + std::to_string(peer.uid));
  auto signals =
      TRY(Signals::create({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}));
  return Session(options, std::move(socket), std::move(signals)).run();
}

}  // namespace locald::cli
