#include "base/units.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/strings.h"

namespace locald {

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const Error bad = Error(Errc::invalid_input, "\"" + std::string(text) + "\" is not a duration")
                        .with_hint("write it as \"200ms\", \"2s\" or \"1m30s\"");
  struct Unit {
    std::string_view name;
    std::uint64_t ms;
  };
  static constexpr std::array<Unit, 5> kUnits{
      {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
  constexpr std::uint64_t kLargest = 1'000'000'000;  // 30 years in seconds: a slip; no overflow
  constexpr std::string_view kDigits = "0123456789";
  std::size_t next_unit = 0;
  std::uint64_t total = 0;
  if (text.empty()) return bad;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of(kDigits), text.size());
    const std::size_t end = std::min(text.find_first_of(kDigits, digits), text.size());
    const auto number = parse_u64(text.substr(0, digits));
    const std::string_view unit = text.substr(digits, end - digits);
    while (next_unit < kUnits.size() && kUnits[next_unit].name != unit) ++next_unit;
    if (!number || *number > kLargest || next_unit == kUnits.size()) return bad;
    total += *number * kUnits[next_unit++].ms;
    text.remove_prefix(end);
  }
  return std::chrono::milliseconds(total);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_u64(text.substr(0, digits));
  const std::string unit = to_lower(text.substr(digits));
  int shift = -1;
  if (unit.empty() || unit == "b") shift = 0;
  if (unit == "k" || unit == "kb") shift = 10;
  if (unit == "m" || unit == "mb") shift = 20;
  if (unit == "g" || unit == "gb") shift = 30;
  if (unit == "t" || unit == "tb") shift = 40;
  if (!number || shift < 0 || *number > (std::uint64_t{1} << 62 >> shift))
    return Error(Errc::invalid_input, "\"" + std::string(text) + "\" is not a size")
        .with_hint("write it as \"512m\" or \"1g\"");
  return *number << shift;
}

std::string time_text(std::chrono::system_clock::time_point when, int digits) {
  using std::chrono::microseconds;
  const std::int64_t us = std::chrono::duration_cast<microseconds>(when.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 64> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string out(text.data(), size);
  if (digits > 0) {
    std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(us % 1'000'000));
    out += std::string_view(text.data()).substr(0, static_cast<std::size_t>(digits) + 1);
  }
  return out + "Z";
}

std::string now_text() { return time_text(std::chrono::system_clock::now()); }

}  // namespace locald
