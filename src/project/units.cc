#include "project/units.h"

#include <fmt/format.h>
#include <signal.h>

#include <array>
#include <cctype>
#include <cstring>

#include "base/strings.h"

namespace locald::project {

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return Error(Errc::invalid_input, fmt::format("\"{}\" is not a duration", text))
        .with_hint("write it as \"200ms\", \"2s\" or \"1m30s\"");
  };
  struct Unit {
    std::string_view name;
    std::uint64_t ms;
  };
  static constexpr std::array<Unit, 4> kUnits{
      {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}};
  std::string_view rest = text;
  std::size_t next_unit = 0;
  std::uint64_t total = 0;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    std::size_t digits = 0;
    while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
    std::size_t letters = digits;
    while (letters < rest.size() && std::isalpha(static_cast<unsigned char>(rest[letters])) != 0)
      ++letters;
    const auto number = parse_u64(rest.substr(0, digits));
    const std::string_view unit = rest.substr(digits, letters - digits);
    while (next_unit < kUnits.size() && kUnits[next_unit].name != unit) ++next_unit;
    if (!number || next_unit == kUnits.size()) return bad();
    if (*number > 1000000000)
      return bad();  // 30 years in seconds: a slip, and it must not overflow
    total += *number * kUnits[next_unit++].ms;
    rest.remove_prefix(letters);
  }
  return std::chrono::milliseconds(total);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [&] {
    return Error(Errc::invalid_input, fmt::format("\"{}\" is not a size", text))
        .with_hint("write it as \"512m\" or \"1g\"");
  };
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const auto number = parse_u64(text.substr(0, digits));
  const std::string unit = to_lower(text.substr(digits));
  int shift = -1;
  if (unit.empty() || unit == "b") shift = 0;
  if (unit == "k" || unit == "kb") shift = 10;
  if (unit == "m" || unit == "mb") shift = 20;
  if (unit == "g" || unit == "gb") shift = 30;
  if (unit == "t" || unit == "tb") shift = 40;
  if (!number || shift < 0 || *number > (std::uint64_t{1} << 62 >> shift)) return bad();
  return *number << shift;
}

std::string signal_name(int number) {
  const char* name = number > 0 && number < 65 ? ::sigabbrev_np(number) : nullptr;
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", number);
}

std::string human_duration(std::chrono::milliseconds value) {
  const auto ms = value.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60000)
    return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000)
                          : fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return ms % 60000 == 0 ? fmt::format("{} min", ms / 60000)
                         : fmt::format("{:.1f} min", static_cast<double>(ms) / 60000);
}

}  // namespace locald::project
