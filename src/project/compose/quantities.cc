#include "project/compose/quantities.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

constexpr std::int64_t kMicro = 1000, kMilli = 1000 * kMicro, kSecond = 1000 * kMilli,
                       kMinute = 60 * kSecond, kHour = 60 * kMinute;
constexpr std::pair<std::string_view, std::int64_t> kDurationUnits[] = {
    {"ns", 1},         {"us", kMicro},       {"\xc2\xb5s", kMicro}, {"\xce\xbcs", kMicro},
    {"ms", kMilli},    {"s", kSecond},       {"m", kMinute},        {"h", kHour},
    {"d", 24 * kHour}, {"w", 7 * 24 * kHour}};

std::optional<double> decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool fits(double value) { return std::abs(value) < 9.223372036854774e18; }

Error bad_duration(std::string_view text) {
  return Error(Errc::invalid_input, fmt::format("invalid duration \"{}\"", shortened(text, 60)))
      .with_hint("like 10s, 1m30s or 500ms");
}

/// Nanoseconds as a number of `unit` with as many decimals as it takes.
std::string decimal_text(std::int64_t value, std::int64_t unit, std::string_view name) {
  std::string text = fmt::to_string(value / unit);
  if (std::int64_t rest = value % unit; rest != 0) {
    text += '.';
    for (std::int64_t digit = unit / 10; rest != 0; digit /= 10) {
      text += static_cast<char>('0' + rest / digit);
      rest %= digit;
    }
  }
  return text.append(name);
}

}  // namespace

Result<std::int64_t> parse_duration(std::string_view text) {
  std::string_view rest = text;
  const bool minus = rest.starts_with('-');
  if (minus || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return std::int64_t{0};
  if (rest.empty()) return bad_duration(text);
  double sum = 0;
  while (!rest.empty()) {
    const std::size_t number = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto value = decimal(rest.substr(0, number));
    rest.remove_prefix(number);
    const std::size_t unit = std::min(rest.find_first_of("0123456789."), rest.size());
    const std::string_view name = rest.substr(0, unit);
    rest.remove_prefix(unit);
    std::int64_t size = 0;
    for (const auto& [known, nanoseconds] : kDurationUnits)
      if (known == name) size = nanoseconds;
    if (!value || size == 0) return bad_duration(text);
    sum += std::round(*value * static_cast<double>(size));
    if (!fits(sum)) return bad_duration(text);
  }
  return static_cast<std::int64_t>(minus ? -sum : sum);
}

std::string duration_text(std::int64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 0) return "-" + duration_text(-nanoseconds);
  if (nanoseconds < kMicro) return fmt::format("{}ns", nanoseconds);
  if (nanoseconds < kMilli) return decimal_text(nanoseconds, kMicro, "\xc2\xb5s");
  if (nanoseconds < kSecond) return decimal_text(nanoseconds, kMilli, "ms");
  std::string text;
  if (nanoseconds >= kHour) text += fmt::format("{}h", nanoseconds / kHour);
  if (nanoseconds >= kMinute) text += fmt::format("{}m", nanoseconds % kHour / kMinute);
  return text + decimal_text(nanoseconds % kMinute, kSecond, "s");
}

Result<std::int64_t> parse_bytes(std::string_view text) {
  const auto bad = [&] {
    return Error(Errc::invalid_input, fmt::format("invalid size \"{}\"", shortened(text, 60)))
        .with_hint("like 64m, 1.5g or a number of bytes");
  };
  if (text.starts_with('-')) {
    const auto number = parse_u64(text.substr(1));
    if (!number || *number > 1ull << 62) return bad();
    return -static_cast<std::int64_t>(*number);
  }
  const std::size_t last = text.find_last_of("0123456789. ");
  if (last == std::string_view::npos) return bad();
  const auto number = decimal(text.substr(0, text[last] == ' ' ? last : last + 1));
  const std::string unit = to_lower(text.substr(last + 1));
  if (!number) return bad();
  double value = *number;
  if (!unit.empty() && unit != "b") {
    const std::size_t power = std::string_view("kmgtp").find(unit[0]);
    if (power == std::string_view::npos ||
        (unit.size() > 1 && unit.substr(1) != "b" && unit.substr(1) != "ib"))
      return bad();
    value *= std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (!fits(value)) return bad();
  return static_cast<std::int64_t>(value);
}

std::optional<bool> parse_flag(std::string_view text) {
  const std::string word = to_lower(text);
  if (word == "true" || word == "y" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "n" || word == "no" || word == "off") return false;
  return std::nullopt;
}

Result<Words> split_words(std::string_view text) {
  Words out;
  std::string word;
  bool started = false, escaped = false, back = false, bracket = false;
  char quote = '\0';
  const auto end_word = [&] {
    if (started) out.words.push_back(std::exchange(word, {}));
    started = false;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool bare = quote == '\0' && !back && !bracket;
    if (escaped) {
      word += c;
      escaped = false;
      started = true;
      continue;
    }
    if (c == '\\' && quote != '\'') {
      escaped = true;
      continue;
    }
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      if (bare)
        end_word();
      else
        word += c;
      continue;
    }
    if ((c == '"' || c == '\'') && !bracket && (quote == '\0' || quote == c)) {
      started = started || quote == c;
      quote = quote == c ? '\0' : c;
      continue;
    }
    if (c == '`' && quote == '\0' && !bracket) back = !back;
    if (c == ')' && quote == '\0' && !back) bracket = !bracket;
    if (c == '(' && quote == '\0' && !back) {
      if (bracket || !word.ends_with('$'))
        return Error(Errc::invalid_input, "the command has a ( that no shell will read")
            .with_hint("write it as a list: [sh, -c, \"…\"]");
      bracket = true;
      word += c;
      continue;
    }
    if (bare && std::string_view(";&|<>").find(c) != std::string_view::npos) {
      out.dropped = text.substr(i);
      // The number of a descriptor in front of > goes with it.
      if (c == '>' && !word.empty() && word[0] >= '0' && word[0] <= '9') started = false;
      break;
    }
    started = true;
    word += c;
  }
  end_word();
  if (escaped || quote != '\0' || back || bracket)
    return Error(Errc::invalid_input, "the command has a quote or a bracket that is not closed");
  return out;
}

}  // namespace locald::project::compose
