#pragma once
#include "base/result.h"
#include "builder/container_options.h"

namespace locald::builder {

/// Limits under which nothing starts are refused, with Errc::invalid_input.
Result<void> check_minimum(const ResourceLimits& limits);

/// @param can_have  Containers have cgroups of their own.
/// @return Errc::unsupported: they have none, and `limits` has any.
Result<void> check_limits(const ResourceLimits& limits, bool can_have);

}  // namespace locald::builder
