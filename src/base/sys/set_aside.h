#pragma once
#include <string>

#include "base/result.h"

namespace locald {

/// Gives what is damaged in `path` below `dir_fd` (a file, a folder, a link) the name
/// "PATH.corrupt-SECONDS", with "-N" after it where that is taken (R-ASIDE).
/// @return the name that it has now; "" where there was nothing.
Result<std::string> set_aside(int dir_fd, const std::string& path);

}  // namespace locald
