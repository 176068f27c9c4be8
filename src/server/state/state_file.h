#pragma once
#include <string>

#include "base/json/json.h"
#include "base/result.h"

/// Small durable files of the server's own: JSON with `format`, replaced and synced (R-ATOMIC).
namespace locald::server {

/// Reads `path`; an absent file is an empty object.
/// - Damaged (no permission, no JSON, no format, `entries` is not an object): set aside (R-ASIDE),
///   which `notice` says, and an empty object.
/// - A format newer than `format`: Errc::unsupported, the file stays untouched.
/// - An error about ourselves (R-UNKNOWN): that error.
/// @param entries  The member that holds what the file is about.
Result<Json> load_state_file(const std::string& path, int format, const char* entries,
                             std::string& notice);

/// For entries that are damaged. `notice` says it, also where the file has to stay.
void set_state_file_aside(const std::string& path, const std::string& why, std::string& notice);

/// Writes `document` with its `format` set.
Result<void> save_state_file(const std::string& path, int format, Json document);

}  // namespace locald::server
