#pragma once
#include <map>
#include <string>
#include <tuple>

#include "project/compose/report.h"

namespace locald::project::compose {

/// Numbers that are spelled otherwise than they are read, by file, line and column.
using Respelled = std::map<std::tuple<std::string, unsigned, unsigned>, std::string>;

/// Gives the values in `root`, in its long forms, their types (Shape::as): numbers, flags, lists of
/// words, members with texts; durations and sizes are texts in one spelling, sizes in bytes. A text
/// that is none of what is wanted is a problem.
void decode(Node& root, const Respelled& respelled, Report& report);

}  // namespace locald::project::compose
