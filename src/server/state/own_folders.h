#pragma once
#include <functional>
#include <string>

#include "base/paths.h"

namespace locald::server {

/// Sets aside files and pipes that stand in the place of the server's own folders (R-ASIDE): what
/// would be made in there could not be. Not links: they may lead to what is just not mounted. Each
/// is said to `log`.
void set_aside_intruders(const Paths& paths, const std::function<void(const std::string&)>& log);

}  // namespace locald::server
