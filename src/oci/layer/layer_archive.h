#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_sink.h"
#include "oci/archive/tar_writer.h"

namespace locald::oci {

/// Whom an entry belongs to, as it is written.
struct ArchiveOwner {
  std::uint64_t uid = 0, gid = 0;
};

/// Packs trees as the exporter of Cloud Native Buildpacks does, so that they give the same diffID:
/// one time for all entries, no user names, no xattrs, hard links as files of their own, sockets
/// left out, names as they are given ("/layers/…", no slash behind folders).
///
/// Keeps R-INSIDE. The trees do not change during the call (a file that does is an error). Memory:
/// the names of one folder a level. Not thread-safe.
class LayerArchive {
 public:
  /// Folders are walked in the order of their names' bytes. Where the content of a folder comes:
  enum class Order : std::uint8_t {
    folder_first,  ///< right behind the folder, as Go's filepath.Walk has it: a, a/b, a.txt
    by_path,       ///< so that whole paths are in order: a, a.txt, a/b
  };
  /// Which entries are packed: by the path below the tree's top, "" for the top itself.
  using Filter = std::function<bool(const std::string& path)>;

  /// @param sink   Borrowed; gets the tar.
  /// @param mtime  Of all entries, in seconds since 1970.
  LayerArchive(ByteSink& sink, std::int64_t mtime) : tar_(sink), mtime_(mtime) {}

  /// The folder behind `dir` as `name`, without its content. Which owner is written, decides
  /// `owner`, who gets the one on disk.
  Result<void> folder(int dir, const std::string& name,
                      const std::function<ArchiveOwner(uid_t, gid_t)>& owner);
  /// The folder behind `dir` and all in it as `name`, all of it `owner`'s.
  /// @param filter  Empty: everything.
  Result<void> tree(int dir, const std::string& name, ArchiveOwner owner, Order order,
                    const Filter& filter = {});
  /// The regular file behind `file`, root's.
  Result<void> file(int file, const std::string& name, std::uint32_t mode);
  /// What is on no disk, root's, 0755.
  Result<void> made_folder(const std::string& name);
  Result<void> made_symlink(const std::string& name, const std::string& target);

  Result<void> finish() { return tar_.finish(); }

 private:
  struct Walk;
  Result<void> content(const Walk& walk, int dir, const std::string& path, int depth);
  Result<void> entry(int dir, const std::string& name, const std::string& full, ArchiveOwner owner,
                     const struct stat& st);
  Result<void> bytes(int file, const struct stat& st);

  TarWriter tar_;
  std::int64_t mtime_;
  std::vector<std::byte> buffer_;
};

}  // namespace locald::oci
