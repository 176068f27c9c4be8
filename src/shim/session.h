#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "base/log/attach_protocol.h"
#include "base/log/log_format.h"
#include "shim/client.h"
#include "shim/log_writer.h"
#include "shim/spec.h"
#include "shim/text.h"
#include "shim/tree.h"

namespace locald::shim {

/// The life of one instance, in one thread and one poll(2) loop:
///
///     starting --runs--> running --main process ends--> ending --nothing left--> draining --> done
///         |  |              |                                                      ^           ^
///         |  +-- stop ------+-- the signal, and at the deadline kill all ----------+           |
///         +-- cannot run: failed --------------------------------------------------------------+
///
/// A service has ended when its main process has: the rest of its tree is killed
/// then, or, within the time of a `stop`, asked to end by the same signal first. What an exec
/// session leaves belongs to its container and is left alone. A session that somebody is still to
/// attach to (`hold`) waits in draining for that, also where it failed.
/// In `done` it writes exit.json and says `exited` (R-EXIT).
class Session {
 public:
  Spec spec;
  int folder = -1;    ///< svc/<id>/
  int proc = -1;      ///< the /proc with the host's numbers (O_PATH)
  int own_proc = -1;  ///< the /proc with the numbers that this process sees
  int control = -1;   ///< connected to the server
  int log_folder = -1;
  int kept = -1;  ///< where a copy of instance.json is written

  /// The shim proper: takes over what the members say, ends the process.
  [[noreturn]] void run();

  /// Before run(), and from the starters below: nothing was started, this is why. `code` is 125,
  /// 126 or 127.
  void fail(int code, const char* text);

  // For the starters (host.cc, container.cc).
  bool make_stdio(int child[3]);  ///< pipes and /dev/null; false: fail() was called
  void drop_output();             ///< of what was never executed: the words of its starter
  void set_main(pid_t pid);       ///< `pid` (our numbers) is our child and runs, or is our init
  TextOf<1024> reason;
  int master = -1;     ///< of the terminal
  pid_t runc_pid = 0;  ///< while runc works
  int console_listener = -1;
  int report = -1;  ///< until our init has executed the command or said why not (kInitReport)
  bool rootfs_mounted = false;
  char rootfs_path[4096] = {};

 private:
  enum class State { starting, running, ending, draining, done };

  void loop();
  void accept_client();
  void serve(Client& client);
  bool handle(Client& client, const FrameHeader& header, const char* body);
  bool feed_stdin(Client& client, const FrameHeader& header, const char* body);
  void broadcast(Frame type, const void* data, std::size_t size, const void* more = nullptr,
                 std::size_t more_size = 0);
  FrameStatus status() const;

  bool read_output(int& fd, LogStream stream);
  bool output_waits() const;
  void trim();

  bool executed() const;
  void command_runs();
  void read_report();
  void children_ended();
  void main_ended(int status, bool never_executed);
  void begin_stop(int signal, std::uint32_t timeout_ms);
  void kill_all();
  void end_tree();
  void finish();
  void linger();
  bool write_instance();
  void take_folder(Client& client);
  void write_exit();
  void accept_console();
  static void reaped(void* self, pid_t pid, int status);

  State state_ = State::starting;
  static constexpr int kClients = 16;
  Client clients_[kClients];  ///< the first is the server that started us
  LogWriter log_;
  int silent_ = 0;  ///< where to look next for a client that has not said who it is
  int signals_ = -1, listener_ = -1;
  int out_ = -1, err_ = -1,
      in_ = -1;  ///< our ends of the pipes; with a terminal out_ is the master
  pid_t main_pid_ = 0, host_pid_ = 0, shim_pid_ = 0;
  int main_pidfd_ = -1;
  std::uint64_t started_ns_ = 0;
  FrameExit exit_{-1, 0, 0, 0};
  bool main_over_ = false, never_ran_ = false, stdin_full_ = false;
  bool hold_waits_ = false;  ///< no client has come yet for the output
  bool stopping_ = false;
  int stop_signal_ = 0;
  std::int64_t deadline_ms_ = 0;  ///< of a stop, of exec's end after a kill, of a drain; 0: none
  std::int64_t trim_at_ms_ = 0;
  unsigned short rows_ = 0, columns_ = 0;
  char early_[400] = {};  ///< the first output: what runc's init says when it cannot exec
  std::size_t early_used_ = 0;
  char identity_[4096] = {};  ///< what instance.json says; empty where that is longer
  std::size_t identity_used_ = 0;
};

/// Starts the host process of `s.spec`; calls set_main() or fail().
void start_host(Session& s, int child[3]);
/// Mounts, then begins runc; the session goes on when it has ended (runc_ended).
void start_container(Session& s, int child[3]);
/// After runc: set_main() or fail().
void runc_ended(Session& s, int status);
/// Takes the overlay away again; for a container whose tree is gone.
void unmount_rootfs(const Session& s);
/// The host's number of the process behind `pidfd`; 0 if unknown.
pid_t host_number(int proc, int pidfd);
/// True if the zombie `pid` is still runc's init: its execve never happened.
bool is_runc_init(int own_proc, pid_t pid);
/// 126 or 127 where `text` says that a command cannot be executed or does not exist, else 125.
int code_of_runc_text(const char* text);

/// Modes; the result is the process's exit code.
int run_mode();
int probe_mode();
int holder_mode();

}  // namespace locald::shim
