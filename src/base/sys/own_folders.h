#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/file_id.h"
#include "base/sys/mount_table.h"

namespace locald {

/// A folder that is not to be had by others, as it was found.
struct OwnFolder {
  std::string path;         ///< without links; as it was asked for where it does not exist
  std::vector<FileId> way;  ///< from "/" to itself, the last; empty where it does not exist
  std::optional<Place> place;
};

/// What every judgement of a path stands on: the mounts, and folders of our own among them. Never
/// changes. Any thread; own: absolute paths.
struct Ground {
  MountTable table;
  std::vector<OwnFolder> own;

  /// As it is now.
  static Result<std::shared_ptr<const Ground>> read(const std::vector<std::string>& own);
  /// What was read for the same folders last, where neither a mount nor one of the folders on their
  /// ways has changed since; else as it is now. A tenth of the time. Mounts of folders that were
  /// renamed since stand in its table with the names of before: the kernel tells nobody of that.
  static Result<std::shared_ptr<const Ground>> last(const std::vector<std::string>& own);
};

}  // namespace locald
