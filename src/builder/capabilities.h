#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/spec/runtime_spec.h"

namespace locald::builder {

/// The capabilities of a container: Docker's fourteen, changed by what the user adds and drops
/// ("NET_ADMIN", "CAP_NET_ADMIN", "ALL"; drops first, as Docker counts). Inheritable and ambient
/// are always empty.
///
/// @param uid  Who the process starts as: only 0 has them in effect; for
///             others they bound what a setuid program may gain, as execve(2) would have it.
/// @return Errc::invalid_input naming an unknown capability.
Result<oci::spec::Capabilities> container_capabilities(const std::vector<std::string>& add,
                                                       const std::vector<std::string>& drop,
                                                       std::uint32_t uid);

}  // namespace locald::builder
