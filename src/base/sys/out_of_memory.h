#pragma once
#include <new>
#include <stdexcept>

#include "base/error.h"

namespace locald {

/// What becomes of an allocation that failed, or of a length that no memory has: the request or the
/// job ends with it, the process goes on.
inline Error out_of_memory() {
  return Error(Errc::failed, "there is not enough memory for this")
      .with_hint("see what takes it (`free -m`, `ulimit -v`), then try again");
}

}  // namespace locald
