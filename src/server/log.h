#pragma once
#include <string>

namespace locald::server {

/// One line of the server's log, on stderr: a time in UTC, and what a person looks for there.
void log(const std::string& text);

}  // namespace locald::server
