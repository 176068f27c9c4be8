#pragma once
#include <string>
#include <vector>

#include "project/compose/report.h"
#include "project/compose/shape.h"
#include "project/yaml/yaml.h"

/// How what a later file says changes what an earlier one said, key by key (Shape::merge), and how
/// lists lose what a later item replaces (Shape::index). Pure.
namespace locald::project::compose {

/// Merges `later` into `base`; `shape` is that of both, null where there is none. Where kinds do
/// not go together, that is a problem and `base` keeps its value.
void merge(Node& base, Node later, const Shape* shape, const std::string& path, Report& report);

/// Of the items in each list that are the same one by Shape::index the last one is kept, in the
/// place of the first.
void drop_replaced(Node& value, const Shape& shape);

/// Removes what `marks` name from `base`, which stands at `path` of the document they are of: the
/// part of `!reset` and `!override` that is for what came before.
void apply_marks(Node& base, const std::vector<std::string>& path,
                 const std::vector<YamlMark>& marks);

}  // namespace locald::project::compose
