#pragma once
#include <functional>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/export/app_image.h"
#include "oci/store/image_store.h"

namespace locald::cnb {

/// What the builder's lifecycle writes of itself into the images that it exports. It is
/// compiled into its binaries (by the linker: version, commit, repository), which nobody can be
/// asked for all of: `exporter -version` leaves the repository out, and a build from source says
/// "0.0.0" and nothing. So the exporter is let export: an empty app, upon a run image that has no
/// content, into a layout. What its label says is right by definition. That takes a container's
/// start, once for each builder's digest (Paths::lifecycle_facts).
///
/// Assumed: the launcher's entry in the label depends on the lifecycle's binary alone, as it
/// has since it was introduced.
/// @return Errc::not_found: the builder's layers are not here; what PhaseRunner::run() returns.
Result<LauncherFacts> launcher_facts(builder::Environment& environment,
                                     const oci::StoredImage& builder,
                                     const builder::PrepareContext& context);

/// Worker side: the configuration of the one image in the layout `folder` (below the job's `top`).
/// @return {config: text}
Result<Json> layout_config_job(const Json& job, const std::function<void(Json)>& progress);

}  // namespace locald::cnb
