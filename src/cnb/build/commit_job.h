#pragma once
#include <functional>

#include "base/json/json.h"
#include "base/result.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

/// Worker side of what the real exporter does for an app that is only run here: reads what the
/// buildpacks left in build/layers, and renames it to where it is run from.
///
///     build/workspace               -> g/<number>/root/workspace
///     build/layers/config           -> g/<number>/root/layers/config
///     build/layers/sbom/launch      -> g/<number>/root/layers/sbom/launch
///     build/layers/sbom/cache       -> g/<number>/sbom-cache
///     build/layers/<b>/<layer>      -> t/<new tree>/layers/<b>/<layer>, where it is for the app or
///                                      cached; spare/t/<tree>/… where it was restored from
///                                      `tree` and has not changed: that one stays in use
///     the builder's launcher        -> g/<number>/root/cnb/lifecycle/launcher
///
/// @param job  CommitJob
/// @return the members of a Generation that the build decides; errors are those of the real
///         exporter: a layer to be used again that was not there, a damaged <layer>.toml …
///         On error g/<number> is to be removed; what was restored is lost to the next build.
Result<Json> commit_job(const Json& job, const std::function<void(Json)>& progress);

/// Server side: takes the job's result into the generation.
Result<void> take_commit(const Json& committed, Generation& generation);

}  // namespace locald::cnb
