#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::net {

/// Where plugins are looked for where nothing else is said: Debian's, and that of CNI's own
/// releases.
inline constexpr const char* kCniPath = "/usr/lib/cni:/opt/cni/bin";
/// A configuration of more bytes is refused.
inline constexpr std::size_t kMaxConflist = 64u << 10;

/// A network configuration list of the Container Network Interface, as somebody wrote it. Versions
/// 0.3.1 to 1.0.0. Spec: CNI 1.0.0, section 1.
struct Conflist {
  std::string name;
  std::string version;  ///< "cniVersion"
  bool disable_check = false;
  std::vector<Json> plugins;  ///< at least one, each an object with a valid "type"

  /// @return Errc::invalid_input: what is wrong, and where. Pure.
  static Result<Conflist> parse(std::string_view text);

  /// Whether a plugin takes that of its runtime ("portMappings", "ips", "mac").
  bool takes(std::string_view capability) const;

  /// Where each plugin is, and each that these name for addresses ("ipam").
  /// @param path  folders
  /// @return Errc::not_found: the first that is missing, where it was looked for, and its package.
  Result<void> find_plugins(const std::vector<std::string>& path) const;
};

/// The program of a plugin; "" where none of the folders has one.
std::string find_plugin(const std::string& type, const std::vector<std::string>& path);

}  // namespace locald::net
