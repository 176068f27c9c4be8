#pragma once
#include <cstddef>
#include <iterator>
#include <string>

/// The bytes of a fuzzer as numbers, choices and texts, taken from the front; 0 and "" once they
/// are used up.
class Bytes {
 public:
  Bytes(const unsigned char* data, std::size_t size) : at_(data), end_(data + size) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  int number(int low, int high) { return low + (at_ == end_ ? 0 : *at_++ % (high - low + 1)); }
  template <typename T, std::size_t N>
  const T& pick(const T (&choices)[N]) {
    return choices[number(0, static_cast<int>(N) - 1)];
  }
  /// At most `size` bytes.
  std::string text(int size) { return take(static_cast<std::size_t>(number(0, size))); }
  std::string rest() { return take(left()); }

 private:
  std::string take(std::size_t size) {
    if (size > left()) size = left();
    std::string out(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return out;
  }

  const unsigned char *at_, *end_;
};
