#pragma once
#include "shim/process.h"

namespace locald::shim {

/// A process that runc makes: the common part of containers and exec sessions.
class RuncProcess : public Process {
 public:
  StartResult finish_start(const Spec& spec, int folder, int status, Text& why) override;
  bool executed() const override;
  bool never_executed(const siginfo_t& end) const override;

 protected:
  explicit RuncProcess(Rest rest) : Process(rest, /*contained=*/true) {}
  ~RuncProcess() = default;

  /// Begins `runc VERB … TARGET`.
  StartResult run(const Spec& spec, int folder, const char* verb, const char* const (&target)[3],
                  const int child[3], Text& why);
  /// After the user namespace of `spec` was joined, if it has one. False with a sentence in `why`.
  static bool become_root(const Spec& spec, Text& why);
};

/// Starts runc with `argv` and the given stdio, an environment of PATH alone and the folder /.
/// @param report  Becomes kInitReportFd; -1: none.
/// @return its pid, or -1 and errno.
pid_t spawn_runc(const char* const* argv, const int child[3], int report);

/// 126 or 127 where `text` says that a command cannot be executed or does not exist, else 125.
int code_of_runc_text(const char* text);

}  // namespace locald::shim
