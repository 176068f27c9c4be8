#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

/// Text put together in a buffer of fixed size: no allocation, no locale. What
/// does not fit is cut, and `cut()` says so.
namespace locald::shim {

class Text {
 public:
  Text(char* buffer, std::size_t size) : buffer_(buffer), size_(size) { buffer_[0] = '\0'; }

  Text& add(const char* text, std::size_t n) {
    const std::size_t room = size_ - 1 - used_;
    if (n > room) cut_ = true, n = room;
    std::memcpy(buffer_ + used_, text, n);
    used_ += n;
    buffer_[used_] = '\0';
    return *this;
  }
  Text& add(const char* text) { return add(text, std::strlen(text)); }
  Text& number(std::int64_t value) {
    char digits[21];
    std::size_t at = sizeof digits;
    std::uint64_t left =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    do digits[--at] = static_cast<char>('0' + left % 10);
    while ((left /= 10) != 0);
    if (value < 0) digits[--at] = '-';
    return add(digits + at, sizeof digits - at);
  }
  /// As the inside of a JSON string: escaped; bytes that are not UTF-8 become '?'.
  Text& json(const char* text, std::size_t n);
  Text& json(const char* text) { return json(text, std::strlen(text)); }

  void clear() { used_ = 0, cut_ = false, buffer_[0] = '\0'; }
  const char* data() const { return buffer_; }
  std::size_t size() const { return used_; }
  bool empty() const { return used_ == 0; }
  bool cut() const { return cut_; }

 private:
  char* buffer_;
  std::size_t size_, used_ = 0;
  bool cut_ = false;
};

template <std::size_t N>
class TextOf : public Text {
 public:
  TextOf() : Text(storage_, N) {}
  TextOf(const TextOf&) = delete;
  TextOf& operator=(const TextOf&) = delete;

 private:
  char storage_[N];
};

}  // namespace locald::shim
