#pragma once
#include <functional>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::cnb {

/// Worker side of restoring: carries out plan_restore() for the group in build/layers/group.toml.
/// A layer's content is the spare copy of its tree, moved; where there is none, a copy made now.
/// Also puts the earlier build's SBOMs beside the layers that they belong to, as the real restorer
/// does.
///
/// @return RestoreResult: what was given content, and the moment after which a change of it can be
///         told (unchanged_since()).
Result<Json> restore_job(const Json& job, const std::function<void(Json)>& progress);

}  // namespace locald::cnb
