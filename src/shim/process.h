#pragma once
#include <sys/types.h>

#include <csignal>

#include "shim/instance_state.h"
#include "shim/spec.h"
#include "shim/text.h"
#include "shim/tree.h"

namespace locald::shim {

/// The outcome of an attempt to start.
struct StartResult {
  int code = 0;  ///< 0; else 125 (our failure), 126 (cannot be executed) or 127 (not found)
  bool on_stderr = false;  ///< the reason was written to the process's stderr, too
};

/// The outcome of a kill.
struct KillResult {
  TreeEnd end = TreeEnd::gone;
  pid_t left = 0;        ///< where something is left: one of them, 0 if unknown
  bool pending = false;  ///< the main process is killed and not reaped yet
};

/// The main process of an instance or a probe, from the namespaces that it starts in to its end:
/// one class for each kind. For the one thread of the shim. Objects are static and never destroyed.
///
/// A host process runs when start() is back. Others are made by runc: start() begins that, and
/// after a SIGCHLD starter_ended() says whether runc is done, finish_start() its outcome.
class Process {
 public:
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Rest rest() const { return rest_; }
  /// It starts in a pid namespace other than the server's; runc makes its terminal.
  bool contained() const { return contained_; }

  /// Joins the namespaces that the shim of this process is to be in, before that is forked.
  /// False with a sentence in `why`.
  virtual bool join(const Spec& spec, Text& why);

  /// Starts with the given stdio. `proc` (O_PATH) shows the host's numbers, `folder` is svc/<id>/;
  /// both stay the caller's. A failure's sentence is added to `why`.
  virtual StartResult start(const Spec& spec, int proc, int folder, const int child[3],
                            Text& why) = 0;
  /// runc works: which of our children is the main process is not known, and none may be reaped.
  bool starting() const { return starter_ != 0; }
  /// While starting(): true once runc has ended; it is reaped, and its wait status in `status`.
  bool starter_ended(int* status);
  /// After starter_ended(): finds the main process. As start().
  virtual StartResult finish_start(const Spec& spec, int folder, int status, Text& why);

  /// After the start, once: whether the command runs. Waits for it, at most a second. False: it has
  /// ended before, or reports it later (report()).
  virtual bool executed() const { return true; }
  /// Before the main process is reaped: whether it has ended without becoming the command.
  virtual bool never_executed(const siginfo_t&) const { return false; }

  pid_t pid() const { return pid_; }            ///< as the shim sees it; 0: there was none
  pid_t host_pid() const { return host_pid_; }  ///< as the host sees it; 0 if unknown

  /// Readable when read_report() has an answer; -1: there is no report (any more).
  int report() const { return report_; }
  enum class Report { later, executed, refused };
  /// While report() is open. refused: `why` is one sentence of the reason.
  Report read_report(Text& why);

  /// Readable when runc sends the terminal; -1: none is to come (any more).
  int console() const { return console_; }
  /// The master of the terminal, now the caller's; -1: none came.
  int accept_console();

  /// To the main process, while it is there.
  void signal(int number) const;
  /// False where the kernel drops `number` before it reaches the main process.
  virtual bool hears(int) const { return true; }
  /// To all below the main process, for whose end `awaited` then waits. @return how many processes.
  int signal_below_main(int number, Awaited& awaited) const;
  /// To all below the shim. @return how many processes.
  int signal_all(int number) const;
  bool has_children() const;
  /// Kills all that ends with this instance, in at most kKillLimitMs; runc too. `reaped` is called
  /// for each of our children.
  KillResult kill(Reaped reaped, void* context);

  /// The main process was reaped.
  void ended();
  /// The path of its root file system, as the shim sees it; null where it sees none of its own.
  virtual const char* root() const { return nullptr; }
  /// Nothing of it is left: unmounts its root file system.
  virtual void clean() {}

  /// For a probe: starts with the given stdio, without terminal and record.
  /// @param report  Set to the reading end of a report, the caller's; or left alone.
  /// @return its pid, or -1 with a sentence in `why` and `code` as in StartResult.
  virtual pid_t start_probe(const Spec& spec, const int child[3], int* report, Text& why,
                            int* code) = 0;

 protected:
  Process(Rest rest, bool contained) : rest_(rest), contained_(contained) {}
  ~Process() = default;

  /// `pid` is our child and runs, or is runc's init.
  void adopt(pid_t pid);
  virtual KillResult kill_tree(Reaped reaped, void* context) = 0;

  int proc_ = -1;      ///< the /proc with the host's numbers
  int own_proc_ = -1;  ///< the /proc with the numbers that the shim sees
  pid_t pid_ = 0, host_pid_ = 0;
  int pidfd_ = -1;
  pid_t starter_ = 0;  ///< runc, while it works
  int report_ = -1, console_ = -1;

 private:
  const Rest rest_;
  const bool contained_;
};

/// The one object of the kind.
Process& host_process();
Process& container_process();
Process& exec_process();
Process& process_of(Spec::Kind kind);

}  // namespace locald::shim
