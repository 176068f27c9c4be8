#pragma once
#include "project/service_config.h"

namespace locald::project {

/// A resolved configuration as people read it (`inspect`): the keys of locald.toml, with all values
/// put in; durations in milliseconds. What is not set is left out.
/// @param env  Values of environments too; else each is "…" (R-SECRET).
Json shown(const ServiceConfig& config, bool env);

}  // namespace locald::project
