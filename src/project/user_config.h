#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace locald::project {

/// The user's settings: CONFIG/config.toml, strict like locald.toml. An absent file is all
/// defaults.
struct UserConfig {
  std::string runtime = "runc";                  ///< a name that is looked for in PATH, or a path
  std::vector<std::string> cni_path;             ///< folders of CNI plugins
  std::chrono::milliseconds cni_timeout{10000};  ///< of one call of one plugin
};

/// @return Errc::invalid_input with every problem and its line.
Result<UserConfig> load_user_config(const std::string& path);

/// Its keys, for those who describe them.
struct Shape;
const Shape& user_config_shape();

/// Where the server looks for runc and the like: PATH, and beside each of its bin folders
/// the sbin one, which a user's PATH has not on Debian.
std::string program_search_path();

}  // namespace locald::project
