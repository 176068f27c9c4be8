#pragma once
#include <sys/types.h>

namespace locald::shim {

/// Called with every child that was reaped, and its wait status.
using Reaped = void (*)(void* context, pid_t pid, int status);

/// Processes whose end is waited for, in any order, without being their parent.
class Awaited {
 public:
  static constexpr int kMost = 64;  ///< others are not waited for

  /// `pidfd` is ours from here on.
  void add(int pidfd);
  /// Readable when next() has something to do; -1: all have ended.
  int fd() const { return count_ > 0 ? fds_[count_ - 1] : -1; }
  /// Forgets those that have ended, up to the first that has not. @return true if none is left.
  bool next();
  void clear();

 private:
  int fds_[kMost] = {};
  int count_ = 0;
};

/// Sends `number` to everything below the process `root` (itself excluded),
/// found through /proc/PID/task/TID/children. `proc` is a descriptor of the /proc
/// that shows `root` under that number. A pid is signalled by pidfd, and only when its parent is
/// still the one it was found under, or the caller (whose orphans come to it).
/// @return how many were signalled; `refused` (if not null) is set to a pid that may not be
/// (EPERM), and `awaited` (if not null) gets those that were signalled.
int signal_below(int proc, pid_t root, int number, pid_t* refused, Awaited* awaited = nullptr);

/// True if `root` has a child.
bool has_children(int proc, pid_t root);

/// Reaps all children that have ended. @return false when there is no child left (ECHILD).
bool reap(Reaped reaped, void* context);

enum class TreeEnd { gone, refused, late };

/// Kills everything below the caller, again and again, until its own waitpid says
/// ECHILD: processes that were just forked, called setsid or ignore signals included. The caller is
/// a subreaper with SIGCHLD blocked. Bounded by `limit_ms`.
/// @return refused: `left` may not be signalled (setuid program); late: `left` still there.
TreeEnd kill_below(int proc, pid_t self, int limit_ms, Reaped reaped, void* context, pid_t* left);

/// The same for PID 1 of a pid namespace: kill(-1) reaches all of it.
TreeEnd kill_namespace(int limit_ms, Reaped reaped, void* context);

}  // namespace locald::shim
