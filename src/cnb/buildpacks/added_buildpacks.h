#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "cnb/app.h"
#include "cnb/inputs/builder_info.h"
#include "cnb/inputs/order.h"
#include "cnb/inputs/project_descriptor.h"
#include "oci/store/image_store.h"

namespace locald::cnb {

/// What the groups of a project.toml come to.
struct AddedBuildpacks {
  Order order;                      ///< complete; empty: the builder's stands
  std::vector<std::string> lowers;  ///< what lies on the builder's layers, topmost first
  /// What was added, for people ("the buildpack ./bp"), and what names its content.
  std::vector<std::pair<std::string, std::string>> contents;
  std::vector<std::string> notices;
};

/// Whom a build is for.
struct BuildContext {
  const AppSpec& app;
  const std::string& builder_name;
  const oci::StoredImage& builder;
  const BuilderInfo& info;
};

/// Looks up every entry of the groups, or of what stands before and after the builder's groups,
/// in their order, and makes what it names present: unpacked in the buildpack store, or, where it
/// is an image, pulled. What is there and unchanged costs a stat a file. Entries that are for other
/// execution environments are left out. `app.pull` counts for images and downloads alike.
///
/// Where two buildpacks have the same id and version the later one is used, and one that is added
/// instead of the builder's, as in pack.
/// @param file  The project.toml, absolute: relative paths start in its folder.
/// @return the first thing that is wrong, with its place in the file: Errc::not_found,
///         invalid_input; Errc::unsupported for an entry of the buildpack registry, and for a
///         Buildpack API that the builder's lifecycle does not know.
Result<AddedBuildpacks> add_buildpacks(builder::Environment& environment,
                                       const ProjectDescriptor& project, const std::string& file,
                                       const BuildContext& build,
                                       const builder::PrepareContext& context);

/// Does what has `exec-env` (none: all) count where the app's is `exec_env` ("": production)?
bool is_for(const std::vector<std::string>& environments, std::string_view exec_env);

}  // namespace locald::cnb
