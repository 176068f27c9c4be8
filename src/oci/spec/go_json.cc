#include "oci/spec/go_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void print_control(std::string& out, char c) {
  switch (c) {
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 0xf];
  }
}

std::string number_text(double number) {
  if (!std::isfinite(number)) return "null";  // no document holds one; Go refuses it
  std::array<char, 40> text{};
  // The shortest digits that read back the same: "-1.2345e+20".
  const auto end = std::to_chars(text.data(), text.data() + text.size(), std::abs(number),
                                 std::chars_format::scientific);
  const std::string_view all(text.data(), static_cast<std::size_t>(end.ptr - text.data()));
  const std::size_t e = all.find('e');
  std::string digits(1, all[0]);
  if (e > 2) digits += all.substr(2, e - 2);
  const int exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  const auto count = static_cast<int>(digits.size());
  std::string out = std::signbit(number) ? "-" : "";
  if (number != 0 && (exponent < -6 || exponent >= 21)) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    return out + (exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(exponent));
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (exponent >= count - 1)
    return out + digits + std::string(static_cast<std::size_t>(exponent - count + 1), '0');
  const auto point = static_cast<std::size_t>(exponent + 1);
  return out + digits.substr(0, point) + "." + digits.substr(point);
}

void print(std::string& out, const Json& value) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += std::to_string(value.as_int());
  } else if (value.is_number()) {
    out += number_text(value.as_double());
  } else if (value.is_string()) {
    out += go_string(value.as_string());
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& item : value.as_array()) {
      if (!first) out += ',';
      first = false;
      print(out, item);
    }
    out += ']';
  } else {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : value.as_object()) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(),
                     [](const auto* a, const auto* b) { return a->first < b->first; });
    out += '{';
    bool first = true;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i + 1 < members.size() && members[i]->first == members[i + 1]->first) continue;
      if (!first) out += ',';
      first = false;
      out += go_string(members[i]->first);
      out += ':';
      print(out, members[i]->second);
    }
    out += '}';
  }
}

}  // namespace

std::string go_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    char32_t rune = 0;
    const std::size_t size = utf8_sequence(text, rune);
    if (size == 0) {
      out += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    const char c = text[0];
    if (rune == '"' || rune == '\\') {
      out += '\\';
      out += c;
    } else if (rune < 0x20) {
      print_control(out, c);
    } else if (rune == '<' || rune == '>' || rune == '&') {
      out += "\\u00";
      out += kHex[rune >> 4];
      out += kHex[rune & 0xf];
    } else if (rune == 0x2028 || rune == 0x2029) {
      out += rune == 0x2028 ? "\\u2028" : "\\u2029";
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out + '"';
}

std::string go_json(const Json& value) {
  std::string out;
  print(out, value);
  return out;
}

GoObject& GoObject::raw(std::string_view name, std::string_view json) {
  if (text_.size() > 1) text_ += ',';
  text_ += go_string(name);
  text_ += ':';
  text_ += json;
  return *this;
}

std::string go_strings_or_nothing(const std::vector<std::string>& values) {
  return values.empty() ? std::string() : go_json(Json(values));
}

}  // namespace locald::oci
