#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::runtime {

/// The server's side of shim/protocol.h: what a shim is to start, as pairs of strings.
class ShimSpec {
 public:
  ShimSpec& set(std::string_view key, std::string_view value);
  ShimSpec& set(std::string_view key, std::uint64_t value) {
    return set(key, std::to_string(value));
  }
  ShimSpec& flag(std::string_view key, bool on) { return on ? set(key, "1") : *this; }
  ShimSpec& list(std::string_view key, const std::vector<std::string>& values);

  /// The memory file to hand over. @return Errc::invalid_input when a value holds a NUL byte.
  Result<UniqueFd> to_fd() const;
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
  std::string bad_key_;
};

}  // namespace locald::runtime
