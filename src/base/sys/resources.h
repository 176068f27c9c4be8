#pragma once
#include <new>
#include <stdexcept>
#include <system_error>
#include <type_traits>

#include "base/error.h"

namespace locald {

inline Error out_of_memory() {
  return Error(Errc::failed, "there is not enough memory for this")
      .with_hint("see what takes it (`free -m`, `ulimit -v`), then try again");
}

/// A thread or a process could not be made.
inline Error out_of_processes() {
  return Error(Errc::failed, "no further process or thread may be started")
      .with_hint(
          "see how many there are (`ps -eL | wc -l`) and may be (`ulimit -u`, the cgroup's "
          "pids.max), then try again");
}

/// Runs `work`, whose result an Error converts to. An allocation that failed, a length that no
/// memory has, and a thread that could not be made end the request or the job with an error; the
/// process continues. Nothing else here throws.
template <typename Work>
std::invoke_result_t<Work> within_resources(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {
    return out_of_memory();
  } catch (const std::system_error&) {
    return out_of_processes();
  }
}

}  // namespace locald
