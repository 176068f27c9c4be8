#pragma once
#include "base/result.h"
#include "builder/container_options.h"

namespace locald::builder {

/// Limits under which nothing starts are refused, with Errc::invalid_input.
Result<void> check_minimum(const ResourceLimits& limits);

}  // namespace locald::builder
