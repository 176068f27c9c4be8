#pragma once
#include <string>

#include "base/json/json.h"
#include "base/result.h"

/// Small durable files of the server's own: JSON with `format`, replaced and synced (R-ATOMIC).
namespace locald::server {

/// Reads `path`; an absent file is an empty object.
/// - Unreadable (no JSON, no object, no format): set aside (R-ASIDE), which `notice` says, and
///   an empty object.
/// - A format newer than `format`: Errc::unsupported, the file stays untouched.
Result<Json> load_state_file(const std::string& path, int format, std::string& notice);

/// Writes `document` with its `format` set.
Result<void> save_state_file(const std::string& path, int format, Json document);

}  // namespace locald::server
