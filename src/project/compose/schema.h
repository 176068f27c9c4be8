#pragma once
#include "project/compose/report.h"
#include "project/compose/shape.h"

namespace locald::project::compose {

/// Whether all of `root`, a file or what several were merged to, may stand where it does: known
/// keys, the right kinds of values, words that there are. The forms may still be short ones, and
/// texts may stand for numbers. Every problem has its place, and an unknown key the one that was
/// likely meant; `x-…` may hold anything.
void check_schema(const Node& root, Report& report);

}  // namespace locald::project::compose
