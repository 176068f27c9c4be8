#pragma once
#include <vector>

#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/store/app_store.h"
#include "cnb/store/generation.h"
#include "oci/ref/reference.h"
#include "oci/store/image_store.h"

namespace locald::cnb {

/// Makes sure that the image of `generation` is in the image store, under app_image_name()
/// (published_image.h) and under `names`. What the real exporter publishes of the same build has
/// the same layers, labels and configuration, and so the same id; the manifest has OCI media types
/// throughout.
///
/// Of a hybrid build it is made here: layers that an earlier export packed, of this or of another
/// generation, are not packed again while the store has them (AppStore::packed). A strict build's
/// is there already.
///
/// Blocking, for a job's thread; holds the app's lock, so that a build of the same app waits. On
/// error the store's names are as they were.
/// @param notices  Gets what the user should know; may be null.
/// @return Errc::not_found: the run image is no longer in the store, or a part of the generation is
///         gone; Errc::no_space; Errc::cancelled.
Result<oci::StoredImage> export_generation(builder::Environment& environment, const AppStore& store,
                                           const Generation& generation,
                                           const std::vector<oci::ImageReference>& names,
                                           const builder::PrepareContext& context,
                                           std::vector<std::string>* notices = nullptr);

}  // namespace locald::cnb
