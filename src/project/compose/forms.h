#pragma once
#include "project/compose/report.h"

namespace locald::project::compose {

/// Makes the short forms in `root` long ones (Shape::form): a volume, a port, a list of
/// dependencies… become mappings that stand where the short ones did. A short form that cannot be
/// read is a problem; a value of the wrong kind is left for check_schema.
void make_long(Node& root, Report& report);

}  // namespace locald::project::compose
