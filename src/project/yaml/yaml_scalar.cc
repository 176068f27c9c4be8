#include "project/yaml/yaml_scalar.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/strings.h"

namespace locald::project {
namespace {

constexpr std::string_view kCore = "tag:yaml.org,2002:";

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words)
    if (text == word) return true;
  return false;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && digit(text[n])) ++n;
  return n;
}

/// A text without its underscores, a sign in front. One of more than 63 bits is its digits.
std::optional<Node> whole_number(std::string_view text) {
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char c = text[1];
    base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
    text.remove_prefix(base == 8 && c != 'o' && c != 'O' ? 1 : 2);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (value > kMax && !minus) return Node(fmt::to_string(value));
  if (value > kMax + 1) return std::nullopt;
  return Node(static_cast<std::int64_t>(minus ? ~value + 1 : value));
}

/// Digits with a point, an exponent, both or neither.
std::optional<double> real_number(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  const std::size_t before = digits(rest);
  rest.remove_prefix(before);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    const std::size_t after = digits(rest);
    if (before + after == 0) return std::nullopt;
    rest.remove_prefix(after);
  } else if (before == 0) {
    return std::nullopt;
  }
  if (!rest.empty()) {
    if (rest[0] != 'e' && rest[0] != 'E') return std::nullopt;
    rest.remove_prefix(1);
    if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
    if (rest.empty() || digits(rest) != rest.size()) return std::nullopt;
  }
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// YYYY-M-D, with a time or not: what YAML calls a timestamp.
bool looks_like_date(std::string_view text) {
  if (digits(text) != 4 || text.size() < 8 || text[4] != '-') return false;
  text.remove_prefix(5);
  const std::size_t month = digits(text);
  if (month == 0 || month > 2 || month == text.size() || text[month] != '-') return false;
  text.remove_prefix(month + 1);
  const std::size_t day = digits(text);
  return day == 1 || day == 2;
}

Node untagged(std::string_view text) {
  if (any_of(text, {"", "~", "null", "Null", "NULL"})) return {};
  if (any_of(text, {"true", "True", "TRUE"})) return true;
  if (any_of(text, {"false", "False", "FALSE"})) return false;
  if (any_of(text, {".nan", ".NaN", ".NAN"})) return std::numeric_limits<double>::quiet_NaN();
  const std::string_view unsigned_text = text[0] == '-' || text[0] == '+' ? text.substr(1) : text;
  if (any_of(unsigned_text, {".inf", ".Inf", ".INF"}))
    return text[0] == '-' ? -std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::infinity();
  if (any_of(text, {"-0", "-0.0"})) return -0.0;
  if (unsigned_text.empty() || (!digit(unsigned_text[0]) && unsigned_text[0] != '.') ||
      looks_like_date(text))
    return text;
  std::string plain;
  for (const char c : text)
    if (c != '_') plain += c;
  if (const auto number = whole_number(plain)) return *number;
  if (const auto number = real_number(plain)) return *number;
  return text;
}

}  // namespace

Result<Node> yaml_scalar(std::string_view text, std::string_view tag, bool plain) {
  if (tag.empty()) return plain ? untagged(text) : Node(text);
  if (!tag.starts_with(kCore)) return Node(text);  // `!`, and tags of a file's own
  const std::string_view name = tag.substr(kCore.size());
  if (name == "str") return Node(text);
  if (name == "binary")
    return Error(Errc::invalid_input, "`!!binary` is not supported here")
        .with_hint("name a file instead");
  Node value = untagged(text);
  if (name == "float" && value.is_int()) return Node(static_cast<double>(value.as_int()));
  const bool fits = (name == "int" && value.is_int()) || (name == "float" && value.is_float()) ||
                    (name == "bool" && value.is_bool()) || (name == "null" && value.is_nothing()) ||
                    (name == "timestamp" && value.is_string());
  if (fits) return value;
  return Error(Errc::invalid_input, fmt::format("\"{}\" does not fit its tag `!!{}`",
                                                shortened(text, 60), shortened(name, 60)));
}

std::string number_text(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Inf" : "+Inf";
  const double size = std::abs(number);
  if (size != 0 && (size < 1e-4 || size >= 1e21)) return fmt::format("{}", number);
  std::array<char, 64> out{};
  const auto [end, error] =
      std::to_chars(out.data(), out.data() + out.size(), number, std::chars_format::fixed);
  return error == std::errc() ? std::string(out.data(), end) : fmt::format("{}", number);
}

}  // namespace locald::project
