#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/paths.h"

namespace locald::server {

struct ServiceConfig;

/// What an instance's container executed and whose idea that was, for one that ended at once: "it
/// ran `bash`, the image's own command". From its bundle, which is there until it is cleaned up; ""
/// where there is none. Reads a file of some KB.
/// @param whose  "the image's own command", "the service's `command`"
std::string command_note(const Paths& paths, const std::string& instance, const std::string& whose);

/// The words of that for `argv`. An own command of the image that is a shell gets the advice to
/// give it another.
std::string command_words(const std::vector<std::string>& argv, const std::string& whose);
inline constexpr const char* kImagesOwn = "the image's own command";

/// Which keys of locald.toml differ: "env, image". Both as ServiceConfig::to_json().
std::string changed_keys(const Json& before, const Json& after);

}  // namespace locald::server
