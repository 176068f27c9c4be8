#pragma once
#include <string>

#include "base/result.h"

namespace locald::cli {

struct AttachOptions {
  std::string socket;  ///< of the shim, as the server gave it
  std::string nonce;
  bool tty = false;  ///< the process has a terminal: ours goes raw, its size follows ours
  bool forward_stdin = false;
  bool detach_keys = false;  ///< ctrl-p ctrl-q leaves, the process goes on
  /// The process was started for us (exec, container run), so it shares our fate: signals
  /// reach it, and where nobody reads our output any more it gets SIGPIPE.
  bool ours = true;
};

/// Connects our stdin, stdout, stderr and signals to a process through its shim
/// (base/log/attach_protocol.h), until it has ended or we are detached.
///
/// Signals: without a terminal SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2
/// are sent on; with one, Ctrl-C is a byte like others. The third SIGINT leaves.
///
/// @return the exit code: the process's own, 128+n where signal n ended it, what the shim
///         gave where it could not be started (its message is printed), 0 on detach.
///         An error where the shim is lost.
Result<int> attach(const AttachOptions& options);

/// Finds ctrl-p ctrl-q in what is typed. A lone ctrl-p is held back until the
/// next byte, or until flush().
class DetachKeys {
 public:
  /// The bytes to send on; `detached` is set when the sequence was typed.
  std::string feed(std::string_view typed, bool& detached);
  bool holding() const noexcept { return held_; }
  std::string flush();

 private:
  bool held_ = false;
};

}  // namespace locald::cli
