#pragma once
#include <cerrno>

#include "base/error.h"

namespace locald {

/// False: an error that says nothing about what was looked for, only about ourselves (no
/// descriptor, no memory) or the disk (R-UNKNOWN).
inline bool says_something(const Error& error) noexcept {
  switch (error.sys_errno()) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EIO:
    case ESTALE:
      return false;
    default:
      return true;
  }
}

}  // namespace locald
