#pragma once
#include <sys/types.h>

#include <cstdint>

#include "base/log/attach_protocol.h"
#include "shim/clients.h"
#include "shim/instance_state.h"
#include "shim/log_writer.h"
#include "shim/process.h"
#include "shim/records.h"
#include "shim/spec.h"
#include "shim/stdio.h"
#include "shim/text.h"
#include "shim/tree.h"

namespace locald::shim {

/// One instance, from its start to exit.json, in one thread and one poll(2) loop: carries out what
/// instance_state.h decides, and tells it what happens. No part knows the session:
///
///     instance_state.h   when to signal, to kill, to report
///     process.h          how the kinds start and are killed
///     stdio.h            terminal or pipes, log and clients
///     clients.h          connections to ctl.sock
///     records.h          instance.json, exit.json
///
/// At the end it writes exit.json and says `exited` (R-EXIT), or `failed` where the command never
/// ran.
class Session {
 public:
  /// Descriptors, all the session's from run() on; -1: none.
  struct Handed {
    int proc = -1;        ///< the /proc with the host's numbers (O_PATH)
    int folder = -1;      ///< svc/<id>/
    int control = -1;     ///< connected to the server
    int log_folder = -1;  ///< with `spec.log`
    int kept = -1;        ///< the folder of the copy of instance.json
  };

  /// The shim proper, in the process that join() has prepared: starts `process` as `spec` says, and
  /// ends this process when it has ended. `spec` is released once the process runs.
  [[noreturn]] void run(Spec& spec, Process& process, const Handed& handed);

 private:
  void prepare_signals();
  void start();
  void apply(const Step& step);
  void perform(const Action& action);

  void fail(int code);
  void main_runs(const StartResult& result);
  void read_report();
  void children_ended();
  void main_ended(int status, bool never_executed);
  void stop(int signal, std::uint32_t timeout_ms);
  void kill_tree();
  static void reaped(void* self, pid_t pid, int status);

  // session_clients.cc
  FrameStatus status() const;
  void accept_client();
  void serve(Client& client);
  bool greet(Client& client, const FrameHeader& header, const char* body);
  bool handle(Client& client, const FrameHeader& header, const char* body);
  void take_folder(Client& client);

  void loop();
  void accept_console();
  bool output_waits() const;
  void finish();

  Spec* spec_ = nullptr;
  Process* process_ = nullptr;
  int proc_ = -1, folder_ = -1;
  int signals_ = -1, listener_ = -1;
  InstanceState state_;
  Awaited asked_;          ///< to end, in place of a main process that hears nothing
  bool reported_ = false;  ///< what is left is finish()
  Stdio stdio_;
  ClientSet clients_;
  LogWriter log_;
  InstanceRecord record_;
  pid_t shim_pid_ = 0;  ///< as the host sees it
  std::uint64_t started_ns_ = 0;
  FrameExit exit_{-1, 0, 0, 0};
  TextOf<1024> reason_;
};

}  // namespace locald::shim
