#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

/// Durations, sizes and times as people and files write them. Pure.
namespace locald {

/// "200ms", "2s", "1m30s", "1h", "7d"; parts in falling order, whole numbers. "0s" is fine.
/// @return Errc::invalid_input with what would be right.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "512m", "1g", "64kb", "1048576": powers of 1024 as in compose, case does not matter.
Result<std::uint64_t> parse_size(std::string_view text);

/// RFC 3339 in UTC: "2026-01-31T10:00:00Z".
/// @param digits  of the seconds' fraction: 0, 3 (".125Z") or 6
std::string time_text(std::chrono::system_clock::time_point when, int digits = 0);
/// Now, in whole seconds.
std::string now_text();

}  // namespace locald
