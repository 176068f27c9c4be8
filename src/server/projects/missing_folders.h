#pragma once
#include <string>

#include "base/result.h"
#include "base/sys/path_judge.h"

namespace locald::server {

/// Creates the folder `path` (absolute) and those above it that are not there, as this user, 0755
/// less the umask. No link is followed below what was there before, which `judge` has to find fit.
Result<void> create_missing_folder(const std::string& path, const PathJudge& judge);

}  // namespace locald::server
