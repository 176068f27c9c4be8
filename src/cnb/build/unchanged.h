#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "cnb/store/app_folder.h"

namespace locald::cnb {

/// A moment, as the file system dates changes.
struct ChangeMark {
  std::int64_t stamp_ns = 0;  ///< ctime of a file made then; 0: nothing here was made before
  std::int64_t clock_ns =
      0;  ///< CLOCK_REALTIME less CLOCK_BOOTTIME then: steps of the clock show in it
};

/// Returns when the clock has ticked on, so that whatever changes afterwards is dated later.
Result<ChangeMark> mark_now(const AppFolder& app);

/// True if nothing in the tree at `path`, itself included, was changed since `mark`: no inode's
/// ctime is later, which no program can set, and which a rename, a deletion and a changed mode
/// leave in a folder or a file too. False as well where the clock was set since, so that ctimes
/// mean nothing. Costs a stat for each entry.
Result<bool> unchanged_since(const ChangeMark& mark, const AppFolder& app, const std::string& path);

}  // namespace locald::cnb
