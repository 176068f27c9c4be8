#pragma once
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"
#include "cnb/build/build_inputs.h"
#include "cnb/store/app_store.h"
#include "cnb/store/generation.h"
#include "oci/spec/image_config.h"
#include "oci/store/image_store.h"

namespace locald::cnb {

/// What a start needs of a generation: the folders beneath the container, and the image's
/// configuration. Of launch layers alone: the launcher would apply whatever else it found.
struct Runnable {
  std::vector<std::string> lowers;  ///< topmost first, relative to:
  std::string lower_base;           ///< the app's own folder, which has most of them (the fewer
                                    ///< bytes each takes, the more of them fit one mount), or, by
                                    ///< the real exporter, the layers' folder
  oci::ImageConfig config;
  std::string facts_file;
  std::string stamp;  ///< names the generation, in all the world of this user
};

/// @return Errc::not_found where a part of it is gone: rebuild it.
Result<Runnable> runnable(builder::Environment& environment, const AppStore& store,
                          const Generation& generation);

/// Whether the kernel mounts that many folders at once; for the end of a build, so that what runs
/// is not exchanged for what never starts.
/// @return Errc::unsupported where it does not.
Result<void> check_lowers(builder::Environment& environment, const Runnable& app,
                          const std::stop_token& stop);

/// The configuration document of a stored image, as it was received.
Result<Json> config_document(const oci::ImageStore& images, const oci::StoredImage& image);

/// The configuration of an app's image upon the run image's.
/// Spec: CNB platform.md#exporter; the order of variables is the real exporter's.
oci::ImageConfig app_config(const oci::ImageConfig& run, const Generation& generation);

/// The same app upon the run image of `inputs`: a new generation of the same folders.
/// @return Errc::unsupported where the run image is of another platform or says that it must not be
///         exchanged. Spec: CNB platform.md#rebaser.
Result<Generation> rebase_generation(builder::Environment& environment, const AppStore& store,
                                     const BuildInputs& inputs, const Generation& from,
                                     const builder::PrepareContext& context);

}  // namespace locald::cnb
