#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace locald::builder {

struct CopyRules {
  /// Uid and gid of what is written; nullopt: those of the process that writes.
  std::optional<std::pair<uid_t, gid_t>> owner;
};

struct CopiedFiles {
  std::uint64_t entries = 0;   ///< files, folders and links that were written
  std::uint64_t bytes = 0;     ///< of files
  std::uint64_t left_out = 0;  ///< devices, sockets, named pipes, /proc and the like
};

/// Copies between trees of which neither is trusted, as an archive would carry it. Existing files
/// and links are replaced, each at once; existing folders are added to. Modes (without setuid
/// and setgid) and times go along. Each step is one name below one descriptor, and no link is
/// followed: neither side leads out of its tree (R-INSIDE). Files that grow during the copy are
/// copied as far as they go. One thread.
///
/// `name` in the folder `from`, as `to_name` in the folder `to`.
/// @return Errc::not_found; Errc::already_exists: a file where a folder is to be, or the reverse
Result<CopiedFiles> copy_entry(int from, const std::string& name, int to,
                               const std::string& to_name, const CopyRules& rules);
/// All that is in the folder `from`, into the folder `to`.
Result<CopiedFiles> copy_contents(int from, int to, const CopyRules& rules);

}  // namespace locald::builder
