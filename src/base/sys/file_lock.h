#pragma once
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"

/// flock(2) on files that others may unlink: a lock counts only while its file still has its name.
namespace locald {

/// True if `fd` is still what `path` below `dir_fd` names (symlinks not followed). Also false where
/// nothing can be said.
bool still_named(int fd, int dir_fd, const std::string& path);

/// flock(2) on `path` below `dir_fd` (created 0600), held while the descriptor is open (R-LOCK).
/// @return Errc::already_exists when `wait` is false and another holds it.
Result<UniqueFd> lock_at(int dir_fd, const std::string& path, bool wait, bool shared = false);

/// An exclusive flock(2) on `path` (created 0600), held while the fd is open.
/// @return Errc::already_exists when `wait` is false and another holds it.
Result<UniqueFd> lock_file(const std::string& path, bool wait);

}  // namespace locald
