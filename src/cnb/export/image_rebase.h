#pragma once
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "oci/ref/reference.h"
#include "oci/spec/config_file.h"
#include "oci/store/image_store.h"
#include "oci/transfer/pull.h"

/// Exchanging the run image below an app: its layers, and what the labels say of it; nothing is
/// built. The result has the configuration that the lifecycle's rebaser would have published, byte
/// for byte. Spec: CNB platform.md#rebaser.
namespace locald::cnb {

struct RebaseOptions {
  std::string run_image;  ///< a reference; "" = what the image's label says
  bool force = false;     ///< also where the rules forbid it
  oci::PullPolicy policy = oci::PullPolicy::always;  ///< of the run image
};

struct RebasedImage {
  oci::StoredImage image;
  std::string run_image, run_image_digest;
  bool changed = false;  ///< false: it stands on that run image already
  std::vector<std::string> notices;
};

/// Rebases the stored image `name`, which afterwards means the new one. Blocking, for a job's
/// thread.
/// @return Errc::invalid_input: no app's image; Errc::unsupported: the rules forbid it, and `force`
/// is not
///         set; what pull_image returns. On error nothing has changed but that the run image may be
///         there.
Result<RebasedImage> rebase_image(builder::Environment& environment,
                                  const oci::ImageReference& name, const RebaseOptions& options,
                                  const builder::PrepareContext& context);

/// The configuration of `app` upon `run`, called `run_name`, published as `run_reference`
/// (NAME@DIGEST). Pure. @param notices  Gets what `force` has overruled.
Result<oci::ConfigFile> rebased_config(const oci::ConfigFile& app, const oci::ConfigFile& run,
                                       const std::string& run_name,
                                       const std::string& run_reference, bool force,
                                       std::vector<std::string>& notices);

/// The label io.buildpacks.lifecycle.metadata after it went through the rebaser unchanged: members
/// in its order, unknown ones gone, numbers as floats.
std::string normalized_lifecycle_label(const Json& label);

}  // namespace locald::cnb
