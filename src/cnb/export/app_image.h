#pragma once
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "cnb/store/generation.h"
#include "oci/spec/config_file.h"

/// The image of an app as the real exporter would make it of the same build: its layers in
/// their order, its labels, its configuration, byte for byte. Pure.
/// Spec: CNB platform.md#exporter, #labels. Order and quirks of what is written: the lifecycle's,
/// which are the same from 0.17 to 0.21.
namespace locald::cnb {

/// One layer of the image, on top of the run image's.
struct AppLayer {
  enum class Kind : unsigned char { buildpack, sbom, app, launcher, config, process_types };
  Kind kind = Kind::buildpack;
  std::string key;         ///< names its content: the same key, the same bytes (in one app)
  std::string created_by;  ///< as the image's history says
  // Where it comes from:
  std::string tree;       ///< of a buildpack's layer
  std::string buildpack;  ///< its folder in /layers
  std::string name;       ///< of a buildpack's layer
  std::size_t slice = 0;  ///< of the app: counts from 0, the last one is all that no slice took
};
std::vector<AppLayer> app_layers(const Generation& generation);

/// What the label says of the launcher: compiled into the lifecycle's binaries.
struct LauncherFacts {
  std::string version, repository, commit;
};

/// The label io.buildpacks.lifecycle.metadata.
/// @param diff_ids  Of app_layers(), in their order.
/// @param top_layer, reference  Of the run image: its topmost diffID, and NAME@DIGEST.
std::string lifecycle_label(const Generation& generation, const std::vector<std::string>& diff_ids,
                            const std::string& top_layer, const std::string& reference);
/// The label io.buildpacks.build.metadata.
std::string build_label(const Generation& generation, const LauncherFacts& launcher);
/// The label io.buildpacks.project.metadata.
std::string project_label(const Json& source);

/// Env, entry point, working folder of an app's image, upon those of its run image.
void set_launch(oci::ConfigFile& config, const Generation& generation);

/// The image's whole configuration document.
/// @return Errc::invalid_input: the run image's cannot be read, or it has no layers.
Result<std::string> app_config_document(const Generation& generation,
                                        const std::vector<std::string>& diff_ids,
                                        const LauncherFacts& launcher);

/// When everything in an image of an app was made, as its documents say: RFC 3339.
inline constexpr const char* kNormalCreated = "1980-01-01T00:00:01Z";

}  // namespace locald::cnb
