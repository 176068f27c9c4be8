#pragma once
#include <cstdint>

#include "base/result.h"
#include "net/cni/cni_result.h"
#include "net/layout.h"

namespace locald::net {

/// Brings what plugins have made in the network namespace of the calling thread together with the
/// rest of a sandbox: their links are put into `group`, and a bridge of theirs without the gateway's
/// address gets it (the first one of the network where the result names none), so that the service
/// is reached from here.
/// @return what is where; as gateways those that are addresses of this namespace.
Result<FoundPlace> settle(const CniResult& result, std::uint32_t group);

}  // namespace locald::net
