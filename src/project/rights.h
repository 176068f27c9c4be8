#pragma once
#include <cstdint>

namespace locald::project {

/// What the user whose server this is may give to services.
struct Rights {
  bool limits = true;            ///< of memory, cpus and pids
  std::uint16_t first_port = 0;  ///< services may listen from this one on
};

}  // namespace locald::project
