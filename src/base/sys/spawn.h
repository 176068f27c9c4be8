#pragma once
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald {

/// How a program is started. The child gets a fresh signal mask and default
/// dispositions, /dev/null where no stdio is given, exactly the descriptors
/// named here and the environment named here, nothing of ours else.
struct SpawnOptions {
  std::vector<std::string> argv;  ///< argv[0] is the path that is executed; no PATH search
  std::vector<std::string> env;   ///< "K=V"
  std::string cwd = "/";
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;  ///< borrowed; -1 is /dev/null
  std::vector<std::pair<int, int>> fds;  ///< {ours, number in the child (>= 3)}; borrowed
  /// It is killed when the thread that starts it ends (PR_SET_PDEATHSIG).
  bool ends_with_thread = false;
  /// It is the first process of a pid namespace, and gets a /proc of that one: the calling thread
  /// is in a mount namespace of its own, and has unshared CLONE_NEWPID.
  bool own_proc = false;
};

/// A child process by pidfd: signalled and reaped without races. The destructor
/// kills (SIGKILL) and reaps what still runs: no zombie, no orphan.
class Child {
 public:
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }  ///< readable once the process has ended
  Result<void> signal(int number) const;

  struct Exit {
    int code = 0;    ///< exit code, or -1 when a signal ended it
    int signal = 0;  ///< 0, or the signal
    bool ok() const noexcept { return code == 0 && signal == 0; }
  };
  /// Waits until it ends, until `deadline` (Errc::timed_out) or until `stop`
  /// (Errc::cancelled); in the last two cases the process goes on.
  Result<Exit> wait(
      std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max(),
      const std::stop_token& stop = {});
  /// Kills and reaps. Fine when it has ended already.
  void kill();

 private:
  friend Result<Child> spawn(const SpawnOptions& options);
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = -1;  // -1: reaped or moved away
  UniqueFd pidfd_;
};

/// Starts a program. Errc::not_found / denied as exec gave them (the message names argv[0]).
Result<Child> spawn(const SpawnOptions& options);

/// What became of an ended child of this process: see reap_unowned().
enum class Reaped {
  yes,
  owned,  ///< a Child stands for it, and reaps it
  later,  ///< a start is under way, whose child it may be: ask once more
};
/// Reaps `pid`, an ended child of this process, unless a Child of whatever thread owns it: what
/// falls to a subreaper nobody else reaps.
Reaped reap_unowned(pid_t pid);

/// Finds `name` in the folders of `path` (as $PATH): the first executable regular file.
std::optional<std::string> find_program(const std::string& name, const std::string& path);

struct Output {
  Child::Exit exit;
  std::string out, err;  ///< the first `max_output` bytes of each
};
/// Runs a program to its end with its output collected; killed at `timeout` (Errc::timed_out) or
/// `stop`.
Result<Output> run_program(SpawnOptions options, std::chrono::milliseconds timeout,
                           std::size_t max_output = 64 << 10, const std::stop_token& stop = {});

}  // namespace locald
