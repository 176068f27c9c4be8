#pragma once
#include <time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cnb/source/source_index.h"

namespace locald::cnb {

/// What everything in a staged source and in an exported layer has as its time: the second second
/// of 1980, as the CNB tools have it, so that the same source gives the same image.
inline constexpr std::int64_t kNormalTime = 315532801;  ///< seconds since 1970
inline constexpr timespec kNormalTimes[2] = {{kNormalTime, 0}, {kNormalTime, 0}};

struct Staged {
  std::uint64_t copied = 0, removed = 0;  ///< entries
  std::uint64_t bytes = 0;                ///< copied
  /// Paths that were no longer as the index has them when they were copied: scan and stage again.
  /// Nothing of them is in the copy.
  std::vector<std::string> changed;
};

/// Makes the folder `target` hold what `want` says of the source, all of it owned by
/// `uid`:`gid`, with the source's modes and kNormalTime: a real copy, since buildpacks
/// change and rename what they find.
///
/// What `have` says is there already is kept where it is still wanted, so a second call costs what
/// has changed and no more. For workers: root, or root of the user namespace.
/// @param have  What an earlier call left in `target`: its index less what changed then; null:
///              `target` is empty.
/// @return on error `target` holds a mixture: throw it away. Errc::corrupt: it is not what `have`
///         says, as far as sizes and times tell.
Result<Staged> stage_source(const JudgedPath& source, const SourceIndex& want,
                            const SourceIndex* have, const std::string& target, std::uint32_t uid,
                            std::uint32_t gid);

}  // namespace locald::cnb
