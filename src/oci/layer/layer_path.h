#pragma once
#include <fcntl.h>
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/archive/layer_limits.h"

namespace locald::oci {

/// The parts of a name in an archive, cleaned as text: "/a//./b/" is {a, b},
/// "a/../b" is {b}, "." and "/" are {}. Absolute names are relative to the root.
/// @return Errc::invalid_input for a name that leaves the root by "..", and beyond the limits.
Result<std::vector<std::string>> clean_path(std::string_view name, const LayerLimits& limits);

/// "a/b" and "c" are "a/b/c"; an empty folder is the root.
std::string join_path(std::string_view folder, std::string_view name);
/// The folder of a path ("" of a name in the root) and its last part.
std::string_view parent_path(std::string_view path);
std::string_view last_part(std::string_view path);

/// What a whiteout marker stands for. Spec: OCI image-spec, layer.md#whiteouts.
enum class Whiteout : std::uint8_t {
  none,    ///< an ordinary name
  remove,  ///< ".wh.NAME": NAME below is gone
  opaque,  ///< ".wh..wh..opq": everything in this folder below is gone
  aufs,    ///< other ".wh..wh.*": leftovers of aufs, skipped
};
struct WhiteoutName {
  Whiteout kind = Whiteout::none;
  std::string_view target;  ///< NAME; points into the argument
};
/// Judges the *last* part of a name; elsewhere the prefix means nothing.
/// @return Errc::invalid_input for ".wh.", ".wh.." and ".wh...", which name nothing that could be
/// removed.
Result<WhiteoutName> parse_whiteout(std::string_view last_part);

/// The folder in which aufs kept the files that hard links point to; it may be
/// the target of links in this layer, and never stays.
inline constexpr std::string_view kAufsLinks = ".wh..wh.plnk";

/// Opens `path` beneath the folder `root` by openat2(2), refusing every symlink
/// and ".." on the way and at the end: for paths that have been resolved.
/// "" is the root itself. O_CLOEXEC is added.
/// @return errno ELOOP or ENOTDIR where the path is not what was resolved.
Result<UniqueFd> open_beneath(int root, const std::string& path, int flags);

}  // namespace locald::oci
