#pragma once
#include <memory>
#include <string>
#include <vector>

#include "builder/bundle_source.h"
#include "builder/container_options.h"
#include "builder/environment.h"

namespace locald::builder {

/// What a service says about where its container comes from, in the words of
/// the project file: `kind` is "image", "rootfs", …; `settings` are the keys
/// that this kind alone has ("image", "pull", "rootfs").
struct SourceRequest {
  std::string kind;
  std::map<std::string, std::string> settings;
  std::string base_dir;  ///< absolute: the project's folder, where relative paths start
  ContainerOptions options;
  std::string container_key;
};

/// Makes the source for a request. The kinds stand in source_registry.cc, one line each.
/// @return Errc::invalid_input for an unknown kind (naming the known ones) or bad settings.
Result<std::unique_ptr<BundleSource>> make_source(Environment& environment, SourceRequest request);

/// The registered kinds, in order.
std::vector<std::string> source_kinds();

}  // namespace locald::builder
