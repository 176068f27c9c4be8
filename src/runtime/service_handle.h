#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop/event_loop.h"
#include "base/result.h"

namespace locald::runtime {

/// How a process ended, exactly or "unknown"; never invented.
struct ExitStatus {
  std::optional<int> code;    ///< 0..255
  std::optional<int> signal;  ///< when a signal ended it
  std::string reason;         ///< when it never ran, or is unknown: why, for people
  bool never_ran = false;     ///< `code` is then 125, 126 or 127
  bool may_pass = false;      ///< never_ran, for a reason that passes by itself (base/transient.h)
  std::chrono::system_clock::time_point ended_at{};
  std::uint64_t dropped_bytes = 0;  ///< of its output

  bool known() const noexcept { return code.has_value() || signal.has_value(); }
  bool success() const noexcept { return code == 0; }
};

/// The server's end of one running (or starting) instance: the connection to
/// its shim, the shim's pidfd. Loop thread only. Dropping it leaves the service running.
///
/// An instance outlives its server: it may live and not be reached, and its records may be deleted.
class ServiceHandle {
 public:
  struct Events {
    std::function<void(int pid)> started;  ///< at most once
    std::function<void(const ExitStatus&)>
        exited;                          ///< exactly once, last: the tree is gone, the log complete
    std::function<void()> trouble = {};  ///< trouble() says something else
  };

  virtual ~ServiceHandle() = default;

  /// Begins to deliver events, in order, also those that happened before; once only.
  virtual void listen(EventLoop& loop, Events events) = 0;

  virtual const std::string& instance() const = 0;  ///< the short id
  virtual const std::string& nonce() const = 0;
  virtual std::string control_socket() const = 0;  ///< what a client attaches to
  virtual int shim_pid() const = 0;                ///< the host's numbers
  virtual int pid() const = 0;                     ///< 0 until started
  /// When the process began to run, also under an earlier server; the epoch while unknown.
  virtual std::chrono::system_clock::time_point started_at() const { return {}; }
  virtual std::string kind() const { return "host"; }  ///< or "container", "exec"
  /// Why it cannot be reached though it lives, for people; empty: it can.
  virtual std::string trouble() const { return {}; }

  virtual Result<void> signal(int number) = 0;
  /// Signal, wait `timeout`, then the whole tree is killed: the shim does it, also when the server
  /// dies before that. `exited` tells the end. A second call with timeout 0 kills at once. Signal
  /// 0: the image's own, else SIGTERM.
  virtual Result<void> stop(int signal, std::chrono::milliseconds timeout) = 0;
  /// Writes its folder, its records and their copy in the state folder again, where they have been
  /// deleted.
  virtual Result<void> write_back() { return {}; }
};

}  // namespace locald::runtime
