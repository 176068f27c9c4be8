#pragma once
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::oci {

/// Whether overlayfs takes it for "removed here".
inline bool is_whiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == 0; }

/// The merged view of committed layers in overlay form, as overlayfs would show
/// it, but read in user space: no mount, no privilege, no mount namespace.
/// Whiteouts (char 0:0) and opaque folders are obeyed; nothing is written.
/// Thread-compatible.
class LowerTree {
 public:
  /// @param paths          The layers' trees, the uppermost first.
  /// @param opaque_xattr   "trusted.overlay.opaque" or "user.overlay.opaque".
  static Result<LowerTree> open(const std::vector<std::string>& paths, const char* opaque_xattr);

  struct Node {
    bool found = false;
    struct stat st {};
    UniqueFd parent;   ///< folder of the layer that holds it (O_PATH)
    std::string name;  ///< in `parent`
  };
  /// What stands at `path`, which holds no symlink in any part but the last
  /// (resolved by the caller) and no "..". A symlink there is not followed.
  Result<Node> lookup(const std::string& path) const;
  /// The names in the merged root.
  Result<std::vector<std::string>> root_names() const;

 private:
  std::vector<UniqueFd> roots_;
  const char* opaque_xattr_ = nullptr;
};

}  // namespace locald::oci
