#pragma once
#include <chrono>
#include <string>

/// Signals and durations as people read them; durations and sizes as they write them: base/units.h.
namespace locald::project {

/// "SIGTERM"; "signal 99" for one without a name.
std::string signal_name(int number);

/// What a person reads: "350 ms", "1.2 s", "2 min".
std::string human_duration(std::chrono::milliseconds value);

}  // namespace locald::project
