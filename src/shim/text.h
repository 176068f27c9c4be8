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

  Text& add(const char* text, std::size_t n);
  Text& add(const char* text);
  Text& number(std::int64_t value);
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
