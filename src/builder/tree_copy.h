#pragma once
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/result.h"

namespace locald::builder {

/// Copies trees, entry by entry and by descriptor: content (shared with the original where
/// the file system can, as btrfs and xfs do), owners, modes, xattrs, times, hard links. No
/// symlink is followed. Sockets are left out, devices too where a user namespace may not have them.
/// For workers: root, or root of the user namespace. One thread.
class TreeCopy {
 public:
  /// All that is in the folder `from` into the empty folder `to`; the folders' own
  /// attributes are the caller's. On error `to` holds a part of it.
  Result<void> content(int from, int to);
  /// Owner, mode, xattrs and times of what `from` is, as `st` has them.
  Result<void> attributes(int from, int to, const struct stat& st) const;

  std::uint64_t count() const noexcept { return count_; }  ///< entries copied
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< of regular files, as they look

 private:
  /// A folder of the copy: its descriptor, and its path below the copy's top ("" or "a/b/").
  struct Place {
    int fd;
    std::string path;
    int depth = 0;
  };
  Result<void> folder(int from, const Place& to);
  Result<void> entry(int from, const Place& to, const std::string& name);
  Result<void> single(int look, int to, const std::string& name, const struct stat& st);

  int top_ = -1;
  /// Where the copy of what has several names is.
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  std::uint64_t count_ = 0, bytes_ = 0;
};

/// The bytes of `in` into the empty file `out`; Errc::failed where they are not `size`.
Result<void> copy_bytes(int in, int out, off_t size);

/// The folder `name` in `from` as `to_name` in `to`, where nothing of that name may be. On error
/// nothing is left there.
Result<TreeCopy> copy_tree(int from, const std::string& name, int to, const std::string& to_name);

}  // namespace locald::builder
