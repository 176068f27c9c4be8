#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/node/toml.h"

namespace locald {
namespace {

/// As Go's strconv.FormatFloat(value, 'g', -1, 64), and ".0" where that is a whole number: the
/// fewest digits that read back as the same number, below 1e-4 and from 1e6 on with an exponent of
/// at least two digits.
std::string float_text(double value) {
  if (std::isnan(value)) return std::signbit(value) ? "-nan" : "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(value),
                                 std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  const int exponent = std::atoi(text.data() + e + 1);
  std::string out = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 6) {
    out += digits[0];
    if (digits.size() > 1) out += '.' + digits.substr(1);
    const int size = std::abs(exponent);
    out += exponent < 0 ? "e-" : "e+";
    return out + (size < 10 ? "0" : "") + std::to_string(size);
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + '.' + digits.substr(whole);
}

bool is_bare_key(std::string_view key) {
  constexpr std::string_view kBare =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return !key.empty() && key.find_first_not_of(kBare) == std::string_view::npos;
}

std::string in_quotes(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4];
          out += kHex[c & 0xf];
        } else {
          out += c;
        }
    }
  }
  return out += '"';
}

std::string key_text(const std::string& key) { return is_bare_key(key) ? key : in_quotes(key); }

/// The encoder writes [[headers]] for an array that holds tables only, and at least one.
bool is_array_of_tables(const Node& value) {
  if (value.as_array().empty()) return false;
  for (const Node& item : value.as_array())
    if (!item.is_table()) return false;
  return true;
}
bool has_header(const Node& value) { return value.is_table() || is_array_of_tables(value); }

class Writer {
 public:
  /// @param path   Of the table, as in its header: "a.b".
  /// @param depth  Parts of `path`.
  Result<void> members(const std::string& path, std::size_t depth, const Node::Table& table) {
    for (const auto& [name, value] : table) {
      if (value.is_nothing() || has_header(value)) continue;
      out_.append(depth * 2, ' ');
      out_ += key_text(name) + " = ";
      TRY(inline_value(value));
      out_ += '\n';
    }
    for (const auto& [name, value] : table) {
      if (!has_header(value)) continue;
      const std::string inner = (depth == 0 ? "" : path + '.') + key_text(name);
      if (value.is_table()) {
        if (depth == 0) blank_line();
        out_.append(depth * 2, ' ');
        out_ += '[' + inner + "]\n";
        TRY(members(inner, depth + 1, value.as_table()));
        continue;
      }
      for (const Node& item : value.as_array()) {
        blank_line();
        out_.append(depth * 2, ' ');
        out_ += "[[" + inner + "]]\n";
        TRY(members(inner, depth + 1, item.as_table()));
      }
    }
    return {};
  }

  std::string take() { return std::move(out_); }

 private:
  void blank_line() {
    if (!out_.empty()) out_ += '\n';
  }

  Result<void> inline_value(const Node& value) {
    if (value.is_string()) {
      out_ += in_quotes(value.as_string());
    } else if (value.is_bool()) {
      out_ += value.as_bool() ? "true" : "false";
    } else if (value.is_int()) {
      out_ += std::to_string(value.as_int());
    } else if (value.is_float()) {
      out_ += float_text(value.as_double());
    } else if (value.is_date_time()) {
      out_ += value.as_date_time();
    } else if (value.is_array()) {
      out_ += '[';
      const char* separator = "";
      for (const Node& item : value.as_array()) {
        if (item.is_nothing()) return item.error("TOML cannot say nothing within an array");
        out_ += std::exchange(separator, ", ");
        TRY(inline_value(item));
      }
      out_ += ']';
    } else {
      out_ += '{';
      const char* separator = "";
      for (const bool headers : {false, true}) {
        for (const auto& [name, member] : value.as_table()) {
          if (member.is_nothing() || has_header(member) != headers) continue;
          out_ += std::exchange(separator, ", ") + key_text(name) + " = ";
          TRY(inline_value(member));
        }
      }
      out_ += '}';
    }
    return {};
  }

  std::string out_;
};

}  // namespace

Result<std::string> write_toml(const Node& document) {
  if (!document.is_table())
    return document.error("a TOML document is a table, not " + std::string(document.kind()));
  Writer writer;
  TRY(writer.members("", 0, document.as_table()));
  return writer.take();
}

}  // namespace locald
