#pragma once
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace locald::oci {

/// When a registry is asked for an image. Records have the number.
enum class PullPolicy : std::uint8_t {
  missing,  ///< ask nobody when the image is there (default)
  always,   ///< ask what the name means today; fetch what changed
  never,    ///< Errc::not_found when it is not there
};
std::string_view to_string(PullPolicy policy) noexcept;
/// Empty: missing. @return Errc::invalid_input
Result<PullPolicy> parse_pull_policy(std::string_view text);

}  // namespace locald::oci
