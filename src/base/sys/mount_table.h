#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald {

/// Where something lies whatever mounts lead to it: a file system, and a path within that. The
/// same folder seen through two mounts has one place.
struct Place {
  std::string device;  ///< "8:1", of the file system
  std::string path;    ///< from the file system's own root, "/" or "/a/b"

  /// True for `folder` itself too.
  bool within(const Place& folder) const;
};

/// The mounts that this process sees, as they were when it was read (/proc/self/mountinfo).
class MountTable {
 public:
  struct Mount {
    std::uint64_t id = 0;
    Place root;         ///< what is mounted
    std::string point;  ///< where
  };
  static Result<MountTable> read();
  /// @param text  as in proc(5), /proc/PID/mountinfo.
  static MountTable parse(std::string_view text);

  /// Of what `fd` (any kind, also O_PATH) stands for. @return Errc::failed where its mount was not
  /// there when the table was read.
  Result<Place> place_of(int fd) const;

  const std::vector<Mount>& mounts() const noexcept { return mounts_; }

 private:
  std::vector<Mount> mounts_;
};

}  // namespace locald
