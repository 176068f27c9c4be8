#include "runtime/shim_spec.h"

#include "base/sys/sys.h"

namespace locald::runtime {

ShimSpec& ShimSpec::set(std::string_view key, std::string_view value) {
  if (value.find('\0') != std::string_view::npos) bad_key_ = key;
  bytes_.append(key).push_back('\0');
  bytes_.append(value).push_back('\0');
  return *this;
}

ShimSpec& ShimSpec::list(std::string_view key, const std::vector<std::string>& values) {
  for (const std::string& value : values) set(key, value);
  return *this;
}

Result<UniqueFd> ShimSpec::to_fd() const {
  if (!bad_key_.empty()) return Error(Errc::invalid_input, bad_key_ + ": a NUL byte in the value");
  return sys::memfd("locald-shim-spec", bytes_);
}

}  // namespace locald::runtime
