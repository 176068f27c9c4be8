#pragma once
#include "base/result.h"

namespace locald::netd {

enum class Role {
  connections,  ///< holds connections; makes no socket, connects none
  inside,       ///< connects in the sandbox
  outside,      ///< connects in the host's network, and looks whose its listeners are
};

/// From here on this process sees an empty file system, has no capability, gains none, and makes no
/// system call but those of its role (EPERM). Its descriptors stay. Single-threaded.
/// @return what could not be done: the process is then not confined, and should end.
Result<void> confine(Role role);

}  // namespace locald::netd
