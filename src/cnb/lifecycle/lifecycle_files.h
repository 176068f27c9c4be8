#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/node/toml.h"
#include "base/result.h"
#include "cnb/app.h"
#include "cnb/inputs/builder_info.h"
#include "oci/spec/image_config.h"

/// The files by which platform, lifecycle and buildpacks talk. What is read here was
/// written by strangers' programs: every reader checks types and answers Errc::invalid_input with
/// the place. Pure. Spec: CNB platform.md#data-format.
namespace locald::cnb {

/// Labels of an app's image.
inline constexpr const char* kLifecycleLabel = "io.buildpacks.lifecycle.metadata";
inline constexpr const char* kBuildLabel = "io.buildpacks.build.metadata";
inline constexpr const char* kProjectLabel = "io.buildpacks.project.metadata";
/// Labels of a run image.
inline constexpr const char* kDistroName = "io.buildpacks.base.distro.name";
inline constexpr const char* kDistroVersion = "io.buildpacks.base.distro.version";

/// /layers/run.toml: the run image as users name it, so that it stands so in the app's labels.
std::string run_toml(const std::vector<RunImage>& images);

/// /layers/analyzed.toml of a build whose layers we restore ourselves: what detection and build
/// ask of it is the run image's platform (platform.md#analyzedtoml-toml).
std::string analyzed_toml(const std::string& run_image, const oci::ImageConfig& run_config);

/// /layers/project-metadata.toml, and what becomes the label io.buildpacks.project.metadata.
std::string project_metadata_toml(const Json& source);

/// One of /layers/group.toml. `id` names a folder once it is escaped.
struct GroupElement {
  std::string id, version, api, homepage;
};
Result<std::vector<GroupElement>> parse_group(std::string_view text);

/// /layers/config/metadata.toml, as the builder leaves it.
struct BuildMetadata {
  std::vector<GroupElement> buildpacks;
  std::vector<Process> processes;
  std::string default_process;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::vector<std::string>> slices;
};
Result<BuildMetadata> parse_build_metadata(std::string_view text);

/// <layer>.toml, as a buildpack leaves it.
struct LayerToml {
  bool launch = false, build = false, cache = false;
  Node metadata;  ///< nothing where there is none
};
/// @return Errc::invalid_input also for flags outside of [types], as the lifecycle refuses them.
Result<LayerToml> parse_layer_toml(std::string_view text, const std::string& name);

/// Whether `type` can name a process: it becomes a file in /cnb/process.
bool is_process_type(std::string_view type) noexcept;

/// The folder of a buildpack in /layers and /cnb/buildpacks: "/" becomes "_".
std::string escape_id(std::string_view id);

}  // namespace locald::cnb
