#pragma once
#include <cstdint>

namespace locald {

/// True if a file whose time was `stamp_ns` when it was looked at, at `looked_ns` (CLOCK_REALTIME),
/// has another time after every change since. A change within the same tick leaves the time as it
/// is (what git calls "racily clean"), and so does one before a clock that was set back.
/// What is kept of a file by its times counts only where this is true.
constexpr bool is_settled(std::int64_t stamp_ns, std::int64_t looked_ns) {
  // The kernel's clock for files ticks every 10 ms at the most. Some file systems know whole
  // seconds only (ext4 with small inodes, HFS+), or every other one (FAT).
  constexpr std::int64_t kSecond = 1'000'000'000, kTick = 20'000'000;
  return stamp_ns < looked_ns - (stamp_ns % kSecond == 0 ? 2 * kSecond : kTick);
}

}  // namespace locald
