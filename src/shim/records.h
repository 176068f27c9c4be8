#pragma once
#include <sys/types.h>

#include <cstddef>

#include "base/log/attach_protocol.h"
#include "shim/spec.h"
#include "shim/text.h"

namespace locald::shim {

/// instance.json: the text of the server, and the pid and start time of the shim.
class InstanceRecord {
 public:
  /// Writes it into `folder`, and a copy as ID.json into `kept` (-1: none), which is closed.
  /// @param proc      A /proc with the host's numbers.
  /// @param shim_pid  As the host sees it.
  /// False with errno: nobody could ever find this instance, and there is no copy either.
  bool write(const Spec& spec, int proc, pid_t shim_pid, int folder, int kept);

  /// What was written; empty where that is longer than a page.
  const char* text() const { return text_; }
  std::size_t size() const { return used_; }

 private:
  char text_[4096] = {};
  std::size_t used_ = 0;
};

/// Writes exit.json (R-EXIT). A folder that is deleted or full has none; the clients hear the same.
void write_exit(int folder, const char* nonce, const FrameExit& exit, bool never_ran,
                const Text& reason);

}  // namespace locald::shim
