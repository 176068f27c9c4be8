#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

/// A layer of an earlier build as the next build of the same buildpack is to find it.
struct RestoredLayer {
  std::string buildpack;  ///< its folder in /layers
  std::string name;
  std::string toml;  ///< content of <layer>.toml, without types: the buildpack sets them again
  std::string tree;  ///< whose content comes with it; "" = none does
};

struct RestorePlan {
  std::vector<RestoredLayer> layers;
  std::vector<std::pair<std::string, std::string>> stores;  ///< folder of a buildpack, store.toml
};

/// What a build of `group` finds of the earlier build: content for what is cached, metadata
/// alone for what is in the app's image and not cached, nothing for what the buildpack must make
/// again anyway. The files are byte for byte what the real restorer writes. Pure.
/// Spec: CNB buildpack.md#layer-types (the table), platform.md#restorer.
Result<RestorePlan> plan_restore(const Generation& before, const std::vector<GroupElement>& group);

}  // namespace locald::cnb
