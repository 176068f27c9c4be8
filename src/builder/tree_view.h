#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "builder/image_facts.h"
#include "runtime/container_bundle.h"

namespace locald::builder {

/// A root file system as its container will see it: the layers (and its
/// writable folder, if given), merged by the kernel in a mount namespace of
/// this process's own. For workers: root, or root of the user namespace.
class TreeView {
 public:
  /// @param scratch    A private folder, covered by a tmpfs during the call; holds none of the
  /// folders of `rootfs`.
  /// @param user_xattr In a user namespace ("userxattr").
  /// @param room       Bytes that the mount's options must have left, for a trial of what will be
  /// mounted with more in them.
  /// With an empty `rootfs.upper` the view is read-only.
  /// Lower folders whose names fill more than a page need Linux 6.8.
  static Result<TreeView> mount(const runtime::Rootfs& rootfs, const std::string& scratch,
                                bool user_xattr, std::size_t room = 0);

  TreeView(TreeView&&) noexcept = default;
  TreeView& operator=(TreeView&&) = delete;
  ~TreeView();

  int root() const noexcept { return root_.get(); }  ///< the merged root, O_PATH

 private:
  TreeView() = default;
  std::string mounted_;  // empty when moved from
  UniqueFd root_;
};

/// What `path` is below the folder `root`, symlinks read as if it were "/": nothing
/// outside is ever looked at. A path that goes on behind a file is Kind::other at that file.
/// @return Errc::invalid_input: more than 40 symlinks.
Result<PathFacts> locate(int root, const std::string& path);

/// Makes what is missing at `path` (folders 0755, a file 0644, all of root)
/// and says what is there then. Nothing is made below /proc, /sys and /dev.
Result<PathFacts> make_mount_point(int root, const std::string& path, PathFacts::Kind kind);

/// The facts of a tree: its users and `paths`. A passwd or group that is not a regular file or is
/// larger than 1 MiB is not read; UserDatabase::problem says so.
Result<ImageFacts> collect_facts(int root, const std::vector<std::string>& paths);

}  // namespace locald::builder
