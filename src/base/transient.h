#pragma once
#include <string_view>

#include "base/error.h"

/// Which failures pass by themselves. What failed says so at its origin, by its code; the code that
/// decides whether to try again (the restart policy) asks here.
namespace locald {

/// True where the same attempt may succeed later (R-MAY-PASS): Errc::unavailable, Errc::no_space,
/// Errc::timed_out.
bool may_pass(const Error& error) noexcept;

/// The same of a sentence that a program has said (runc, the shim), of which there is no code: one
/// that holds the system's words for such an error.
bool may_pass(std::string_view sentence) noexcept;

}  // namespace locald
