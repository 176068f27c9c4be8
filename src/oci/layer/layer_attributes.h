#pragma once
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "oci/archive/tar_reader.h"
#include "oci/layer/layer_apply.h"

namespace locald::oci {

/// What a person should know about a layer; each text once, at most 20.
class Warnings {
 public:
  void add(std::string text);
  std::vector<std::string> take() &&;

 private:
  std::vector<std::string> texts_;
  std::size_t dropped_ = 0;
};

/// Puts owner, extended attributes, mode and times on what has just been made,
/// in the one order that keeps them: chown clears setuid and capabilities, so
/// it comes first; chmod by descriptor makes us independent of the umask.
class LayerAttributes {
 public:
  LayerAttributes(const ApplyOptions& options, Warnings& warnings)
      : options_(options), warnings_(warnings) {}

  /// An open regular file, its data written.
  Result<void> set_file(int fd, const TarEntry& entry);
  /// An open folder; its times come last (LayerTree::finish), and so does a default ACL, which its
  /// children would inherit: it is returned.
  Result<std::vector<TarEntry::Xattr>> set_dir(int fd, const TarEntry& entry);
  /// A symlink, FIFO or device `name` in the folder `dir`; never follows.
  Result<void> set_node(int dir, const std::string& name, const TarEntry& entry);
  /// One attribute of an open folder, left over from set_dir.
  Result<void> set_late(int fd, const std::string& path, const TarEntry::Xattr& xattr);

  /// The attributes of an existing node, as an entry: for copies from lower layers.
  /// @param dir, name  Where it stands; never follows.
  Result<TarEntry> read(int dir, const std::string& name, const struct stat& st,
                        const std::string& path);

  /// Removes all extended attributes that an image can have set: for a folder that an entry
  /// describes again.
  void clear_xattrs(int fd);

 private:
  bool wanted(const TarEntry::Xattr& xattr, const TarEntry& entry);
  Result<void> after_xattr(int err, const TarEntry::Xattr& xattr, const TarEntry& entry);
  Result<void> owner_error(int err, const TarEntry& entry);

  const ApplyOptions& options_;
  Warnings& warnings_;
};

/// The xattr that makes a folder opaque under this id map's overlay mounts.
const char* opaque_xattr(IdMap map) noexcept;

}  // namespace locald::oci
