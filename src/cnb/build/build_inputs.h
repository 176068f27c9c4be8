#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/app.h"
#include "cnb/inputs/builder_info.h"
#include "cnb/inputs/platform_dir.h"
#include "cnb/source/path_filter.h"
#include "oci/store/image_store.h"

namespace locald::cnb {

/// All that goes into a build but the source itself, looked up: images are present with their
/// layers, project.toml is read, bindings are read.
struct BuildInputs {
  AppSpec app;
  std::string builder_name;  ///< as people write it
  oci::StoredImage builder;
  BuilderInfo info;
  RunImage run_names;  ///< what the app's image says it stands on
  oci::StoredImage run;
  PathFilter filter = PathFilter().without(never_sent());
  std::string order_toml = {};                 ///< "" = the builder's own order
  std::vector<std::string> extra_lowers = {};  ///< added to the builder's layers, topmost first
  std::map<std::string, std::string> env = {};
  std::vector<Binding> bindings = {};
  Json project = {};  ///< `source` of the project's metadata; null where there is none
  std::vector<std::string> notices = {};
  /// What of all this a build depends on, but for the source, the run image and the host's
  /// certificates: what people call it -> what names its content.
  std::map<std::string, std::string> parts = {};
  std::string fingerprint = {};  ///< of the parts
};

/// The folder of the app's source, to be used as it is found here.
/// @return Errc::not_found, Errc::invalid_input: there is none; Errc::denied: see PathJudge; one
///         that holds what is copied of it would grow with every build.
Result<JudgedPath> open_source(const PathJudge& judge, const AppSpec& app);
Result<JudgedPath> open_source(const builder::Environment& environment, const AppSpec& app);

/// Looks everything up, pulling images where they are missing (or `app.pull` says so).
/// @return what pull_image and the readers return; Errc::unsupported also for a builder of another
///         architecture; Errc::invalid_input for what is wrong in project.toml, with its lines.
Result<BuildInputs> resolve_inputs(builder::Environment& environment, const AppSpec& app,
                                   const builder::PrepareContext& context);

}  // namespace locald::cnb
