#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::builder {

/// One option of a volume, as compose, Docker and Podman have them: ro, rw; and z, Z, U, nocopy,
/// cached, delegated, consistent, which are taken and have no effect here.
/// @param notice  Gets a sentence for one without effect.
/// @return Errc::invalid_input for another word.
Result<void> read_mount_option(std::string_view option, bool& read_only, std::string& notice);

/// The notices of "SOURCE:TARGET:OPTIONS", for the callers of VolumeMount::parse().
std::vector<std::string> mount_option_notices(const std::string& volume);

}  // namespace locald::builder
