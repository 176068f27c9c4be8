#include "project/compose/volume_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace locald::project::compose {

Result<VolumeText> parse_volume_text(std::string_view text) {
  VolumeText out;
  if (text.empty()) return Error(Errc::invalid_input, "a volume must not be empty");
  const std::vector<std::string> parts = split(text, ':');
  if (std::any_of(parts.begin(), parts.end(), [](const std::string& p) { return p.empty(); }))
    return Error(Errc::invalid_input,
                 fmt::format("invalid volume \"{}\": a part of it is empty", shortened(text, 80)))
        .with_hint("SOURCE:TARGET or SOURCE:TARGET:ro");
  if (parts.size() > 3)
    return Error(Errc::invalid_input,
                 fmt::format("invalid volume \"{}\": more than three parts", shortened(text, 80)))
        .with_hint("the long form takes paths with a colon");
  out.target = parts.back();
  if (parts.size() == 1) return out;
  out.source = parts[0];
  out.target = parts[1];
  out.bind = out.source[0] == '.' || out.source[0] == '/' || out.source[0] == '~';
  if (parts.size() == 2) return out;
  for (const std::string& mode : split(parts[2], ',')) {
    if (mode == "ro" || mode == "rw")
      out.read_only = mode == "ro";
    else if (mode == "nocopy")
      out.nocopy = true;
    else if (mode == "z" || mode == "Z")
      out.selinux = mode;
    else if (mode == "rprivate" || mode == "private" || mode == "rshared" || mode == "shared" ||
             mode == "rslave" || mode == "slave")
      out.propagation = mode;
    else
      out.unknown.push_back(mode);
  }
  return out;
}

}  // namespace locald::project::compose
