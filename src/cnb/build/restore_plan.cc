#include "cnb/build/restore_plan.h"

#include <algorithm>

#include "base/node/toml.h"

namespace locald::cnb {
namespace {

/// What was written as TOML, kept as JSON in a label, and is written as TOML again: numbers have
/// become floats on the way.
Result<std::string> metadata_text(const Json& data) {
  Node document = Node::table();
  if (!data.is_null()) document.set("metadata", Node::from_json(data).as_json_numbers().sorted());
  return write_toml(document);
}

bool restores_metadata(const GenerationLayer& layer) {
  const bool has_content = !layer.tree.empty();
  if (layer.cache) return has_content;
  // In the image alone: a buildpack that builds with it needs its content, and makes it again.
  return layer.launch && !layer.build;
}

}  // namespace

Result<RestorePlan> plan_restore(const Generation& before, const std::vector<GroupElement>& group) {
  RestorePlan plan;
  for (const GroupElement& element : group) {
    const auto known = std::find_if(before.buildpacks.begin(), before.buildpacks.end(),
                                    [&](const auto& b) { return b.id == element.id; });
    if (known == before.buildpacks.end()) continue;
    const std::string folder = escape_id(element.id);
    if (!known->store.is_null())
      plan.stores.emplace_back(folder, TRY(metadata_text(known->store).context(element.id)));
    for (const GenerationLayer& layer : known->layers) {
      if (!restores_metadata(layer)) continue;
      plan.layers.push_back({.buildpack = folder,
                             .name = layer.name,
                             .toml = TRY(metadata_text(layer.data).context(element.id)),
                             .tree = layer.cache ? layer.tree : std::string()});
    }
  }
  return plan;
}

}  // namespace locald::cnb
