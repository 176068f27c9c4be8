#include "shim/text.h"

namespace locald::shim {
namespace {

/// Length of the well-formed UTF-8 sequence at `text`, 0 if there is none (RFC 3629, table of
/// section 4).
std::size_t utf8_length(const unsigned char* text, std::size_t n) {
  auto tail = [&](std::size_t i) { return i < n && (text[i] & 0xc0) == 0x80; };
  if (text[0] < 0x80) return 1;
  if (text[0] >= 0xc2 && text[0] <= 0xdf) return tail(1) ? 2 : 0;
  if (text[0] >= 0xe0 && text[0] <= 0xef) {
    if (!tail(1) || !tail(2)) return 0;
    if (text[0] == 0xe0 && text[1] < 0xa0) return 0;
    if (text[0] == 0xed && text[1] > 0x9f) return 0;
    return 3;
  }
  if (text[0] >= 0xf0 && text[0] <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (text[0] == 0xf0 && text[1] < 0x90) return 0;
    if (text[0] == 0xf4 && text[1] > 0x8f) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

Text& Text::add(const char* text, std::size_t n) {
  const std::size_t room = size_ - 1 - used_;
  if (n > room) cut_ = true, n = room;
  std::memcpy(buffer_ + used_, text, n);
  used_ += n;
  buffer_[used_] = '\0';
  return *this;
}

Text& Text::add(const char* text) { return add(text, std::strlen(text)); }

Text& Text::number(std::int64_t value) {
  char digits[21];
  std::size_t at = sizeof digits;
  std::uint64_t left =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  do digits[--at] = static_cast<char>('0' + left % 10);
  while ((left /= 10) != 0);
  if (value < 0) digits[--at] = '-';
  return add(digits + at, sizeof digits - at);
}

Text& Text::json(const char* text, std::size_t n) {
  for (std::size_t i = 0; i < n;) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      const char pair[2] = {'\\', text[i++]};
      add(pair, 2);
    } else if (c == '\n') {
      add("\\n", 2), ++i;
    } else if (c < 0x20) {
      const char hex[] = "0123456789abcdef";
      const char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
      add(escape, 6), ++i;
    } else if (const std::size_t length =
                   utf8_length(reinterpret_cast<const unsigned char*>(text) + i, n - i)) {
      add(text + i, length), i += length;
    } else {
      add("?", 1), ++i;
    }
  }
  return *this;
}

}  // namespace locald::shim
