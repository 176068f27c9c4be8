#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace locald::cli {
namespace {

/// tcsetattr(3) that does not stop us where we are in the background (SIGTTOU).
int set(int fd, const termios& mode) {
  sigset_t ttou, before;
  sigemptyset(&ttou);
  sigaddset(&ttou, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &ttou, &before);
  const int result = ::tcsetattr(fd, TCSADRAIN, &mode);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return result;
}

}  // namespace

std::optional<TerminalSize> terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
    return std::nullopt;
  return TerminalSize{size.ws_row, size.ws_col};
}

Result<RawTerminal> RawTerminal::enter(int fd) {
  termios saved{};
  if (::tcgetattr(fd, &saved) != 0) return Error::from_errno(errno, "tcgetattr");
  RawTerminal terminal(fd, saved);
  terminal.again();
  return terminal;
}

RawTerminal::RawTerminal(RawTerminal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), saved_(other.saved_) {}

RawTerminal::~RawTerminal() {
  if (fd_ >= 0) set(fd_, saved_);
}

void RawTerminal::again() {
  termios raw = saved_;
  ::cfmakeraw(&raw);
  set(fd_, raw);
}

}  // namespace locald::cli
