#pragma once
#include <string>

#include "base/result.h"
#include "base/sys/path_judge.h"

namespace locald::project {

/// Opens the folder `path` that a host process starts in. Blocks for microseconds.
/// @return Errc::not_found, Errc::denied, Errc::invalid_input: not there, not to be had (PathJudge),
/// not a folder. With hints.
Result<JudgedPath> open_workdir(const std::string& path, const PathJudge& judge);

}  // namespace locald::project
