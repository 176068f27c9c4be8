#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

/// The small words of a project file: durations, sizes, signals. Pure.
namespace locald::project {

/// "200ms", "2s", "1m30s", "1h"; parts in falling order, whole numbers. "0s" is fine.
/// @return Errc::invalid_input with what would be right.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "512m", "1g", "64kb", "1048576": powers of 1024 as in compose, case does not matter.
Result<std::uint64_t> parse_size(std::string_view text);

/// "SIGTERM"; "signal 99" for one without a name.
std::string signal_name(int number);

/// What a person reads: "350 ms", "1.2 s", "2 min".
std::string human_duration(std::chrono::milliseconds value);

}  // namespace locald::project
