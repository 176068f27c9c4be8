#pragma once
#include <functional>
#include <string>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/store/app_store.h"
#include "cnb/store/generation.h"
#include "oci/spec/image_config.h"
#include "oci/store/image_store.h"

/// Images of apps as the real exporter writes them into a layout folder, on their way into our
/// store.
namespace locald::cnb {

/// The name in the image store of the image that was last made of an app.
std::string app_image_name(const std::string& app);

/// Takes the image of the layout `folder` (relative to the app's) into the image store under
/// `name`, once check_layout_job() has seen nothing strange in it, for which nobody may write there
/// any more: layers that are missing there are read and applied; the label
/// io.buildpacks.lifecycle.metadata gets `run_reference` (NAME@DIGEST) for the path in a container
/// that exporters write there; the manifest has OCI media types throughout, where exporters mix
/// Docker's in.
Result<oci::StoredImage> import_layout_image(builder::Environment& environment,
                                             const AppStore& store, const std::string& folder,
                                             const std::string& name,
                                             const std::string& run_reference,
                                             const builder::PrepareContext& context);

/// Worker side: that folders and regular files are all there is in `folder` and on the way to it,
/// since a reader by path would follow a container's symlink to files of the host.
/// @return Errc::corrupt otherwise, and where there is no such folder.
Result<Json> check_layout_job(const Json& job, const std::function<void(Json)>& progress);

/// What the labels of an app's image say of buildpacks, layers and processes, into `into`.
/// @return Errc::invalid_input where they are no such labels.
Result<void> read_published(const oci::ImageConfig& config, Generation& into);

/// "REPOSITORY@DIGEST" as a lifecycle that speaks to registries would write it for `image`: with
/// index.docker.io for Docker Hub.
std::string published_reference(const std::string& image, const std::string& digest);

}  // namespace locald::cnb
