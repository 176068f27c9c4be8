#pragma once
#include <string_view>

#include "base/result.h"

namespace locald {

/// "SIGTERM", "term", "15", "SIGRTMIN+3" (as in containers: SIGRTMIN is 34).
/// @return Errc::invalid_input naming the text.
Result<int> parse_signal(std::string_view text);

}  // namespace locald
