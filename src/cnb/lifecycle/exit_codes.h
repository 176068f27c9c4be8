#pragma once
#include <string>
#include <string_view>

#include "base/error.h"

namespace locald::cnb {

/// The phases of a build, in their order. Spec: CNB platform.md#operations.
enum class Phase : unsigned char { analyze, detect, restore, build, export_ };
/// The binary below /cnb/lifecycle: "analyzer", …
std::string_view binary_of(Phase phase) noexcept;
/// As people and the API read it: "analyze", "detect", "restore", "build", "export".
std::string_view to_string(Phase phase) noexcept;

/// What the exit code of a phase means, as an error with the next step to take.
/// Spec: CNB platform.md, the tables of exit codes at each phase.
Error explain_exit(Phase phase, int code);

}  // namespace locald::cnb
