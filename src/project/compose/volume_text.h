#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::project::compose {

/// The short form of a volume, SOURCE:TARGET:MODE. Pure.
struct VolumeText {
  bool bind = false;   ///< `source` is a path: it begins with `.`, `/` or `~`
  std::string source;  ///< a path or a name; empty: an anonymous volume
  std::string target;
  bool read_only = false, nocopy = false;
  std::string propagation, selinux;  ///< "rslave"…, "z" or "Z"; mostly empty
  std::vector<std::string> unknown;  ///< modes that mean nothing here, like `cached`
};

/// @return Errc::invalid_input for an empty part and for more than three.
Result<VolumeText> parse_volume_text(std::string_view text);

}  // namespace locald::project::compose
