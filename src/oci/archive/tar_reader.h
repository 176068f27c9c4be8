#pragma once
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/archive/layer_limits.h"

namespace locald::oci {

/// One entry as the archive says it: names are raw bytes, nothing is cleaned.
struct TarEntry {
  enum class Type : std::uint8_t {
    file,
    dir,
    symlink,
    hardlink,
    fifo,
    char_device,
    block_device,
    other
  };
  struct Xattr {
    std::string name;
    std::string value;
  };

  Type type = Type::other;
  std::string path;
  std::string link;        ///< target of a symlink or hard link
  std::uint64_t size = 0;  ///< logical: of a sparse file with its holes; 0 for anything but files
  std::uint32_t mode = 0;  ///< permission bits with setuid, setgid, sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
  timespec mtime{};
  std::vector<Xattr> xattrs;  ///< each name once, the last in the archive wins
};

/// Reads a tar archive of any kind that images hold: V7, ustar, star, GNU (long
/// names, sparse, base-256 numbers), PAX. libarchive parses; this class makes
/// its results exact where they are not:
///
///  * names stay raw bytes: no charset conversion, whatever the locale;
///  * negative times with a fraction (libarchive has -1.5 as -0.5);
///  * damage that libarchive reports as a mere warning (malformed PAX records,
///    too many extension headers) is an error: two parsers must not disagree about what a layer
///    holds;
///  * the size of a hard link's body is its own business, the body is skipped.
///
/// Global PAX headers are ignored. Extension headers are limited to 1 MiB (libarchive's own limit).
/// Bytes after the end of the archive are read (and so hashed by the source) and ignored.
/// Limits: entries, names, xattrs, sparse extents. Memory O(1). Not thread-safe.
class TarReader {
 public:
  /// @param source  The plain tar; must outlive the reader.
  TarReader(ByteSource& source, const LayerLimits& limits);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  /// Goes to the next entry; what is left of the last one's data is skipped.
  /// @return false at the end, when the source has been read to its end.
  ///         Errc::corrupt for damage, invalid_input beyond a limit, the source's own error.
  Result<bool> next(TarEntry& entry);

  struct Block {
    std::span<const std::byte> bytes;  ///< valid until the next call
    std::uint64_t offset = 0;          ///< in the file; a gap is a hole
  };
  /// The entry's next piece of data; nullopt when there is no more.
  Result<std::optional<Block>> data();

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

}  // namespace locald::oci
