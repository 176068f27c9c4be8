#pragma once
#include <termios.h>

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace locald::cli {

struct TerminalSize {
  std::uint16_t rows = 0, columns = 0;
};
/// The size of the terminal at `fd`; nothing where there is none.
std::optional<TerminalSize> terminal_size(int fd);

/// Raw mode of the terminal at `fd`, undone by the destructor: it must live in a
/// scope that every way out passes (signals come through Signals, not handlers).
class RawTerminal {
 public:
  static Result<RawTerminal> enter(int fd);
  RawTerminal(RawTerminal&& other) noexcept;
  RawTerminal& operator=(RawTerminal&&) = delete;
  ~RawTerminal();
  /// Once more, after a stop and SIGCONT: the shell may have set its own mode.
  void again();

 private:
  RawTerminal(int fd, const termios& saved) : fd_(fd), saved_(saved) {}
  int fd_;
  termios saved_;
};

}  // namespace locald::cli
