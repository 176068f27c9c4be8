#pragma once
#include <string>

#include "base/node/node.h"
#include "project/compose/report.h"
#include "project/compose/shape.h"

namespace locald::project::compose {

/// Calls `step(part, shape of it, path of it)` with each member and item of `node` that `shape`
/// knows.
template <typename Step>
void each_part(Node& node, const Shape& shape, const std::string& path, const Step& step) {
  if (Node::Table* const members = node.members()) {
    for (auto& [name, member] : *members)
      if (const Shape* const inner = shape.find(name))
        step(member, *inner, member_path(path, name));
  } else if (Node::Array* const items = node.items(); items != nullptr && shape.items != nullptr) {
    for (std::size_t i = 0; i < items->size(); ++i)
      step((*items)[i], *shape.items, item_path(path, i));
  }
}

}  // namespace locald::project::compose
