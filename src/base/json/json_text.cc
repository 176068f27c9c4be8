#include "base/json/json_text.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/json/json.h"

namespace locald {
namespace {

void break_line(std::string& out, bool pretty, int depth) {
  if (!pretty) return;
  out += '\n';
  out.append(static_cast<std::size_t>(depth) * 2, ' ');
}

void print(std::string& out, const Json& value, bool pretty, int depth) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    json_text::append_bool(out, value.as_bool());
  } else if (value.is_int()) {
    json_text::append_integer(out, value.as_int());
  } else if (value.is_number()) {
    json_text::append_real(out, value.as_double());
  } else if (value.is_string()) {
    json_text::append_string(out, value.as_string());
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& item : value.as_array()) {
      if (!std::exchange(first, false)) out += ',';
      break_line(out, pretty, depth + 1);
      print(out, item, pretty, depth + 1);
    }
    if (!first) break_line(out, pretty, depth);
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : value.as_object()) {
      if (!std::exchange(first, false)) out += ',';
      break_line(out, pretty, depth + 1);
      json_text::append_string(out, key);
      out += pretty ? ": " : ":";
      print(out, member, pretty, depth + 1);
    }
    if (!first) break_line(out, pretty, depth);
    out += '}';
  }
}

}  // namespace

namespace json_text {

void append_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t written = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(written, i - written);
    written = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 0xf];
    }
  }
  out += text.substr(written);
  out += '"';
}

void append_integer(std::string& out, std::int64_t number) {
  std::array<char, 24> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number);
  out.append(text.data(), end.ptr);
}

void append_real(std::string& out, double number) {
  std::array<char, 40> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), std::isfinite(number) ? number : 0.0);
  out.append(text.data(), end.ptr);
}

void append_json(std::string& out, const Json& value) { print(out, value, /*pretty=*/false, 0); }

}  // namespace json_text

std::string Json::dump(bool pretty) const {
  std::string out;
  print(out, *this, pretty, 0);
  return out;
}

}  // namespace locald
