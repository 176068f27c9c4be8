#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "oci/archive/byte_sink.h"

namespace locald::oci {

/// One member of an archive.
struct TarHeader {
  enum class Type : char {
    file = '0',
    symlink = '2',
    character_device = '3',
    block_device = '4',
    folder = '5',
    fifo = '6',
  };
  Type type = Type::file;
  std::string name;        ///< as it shall stand there: nothing is added or taken away
  std::string link;        ///< a symlink's target
  std::uint32_t mode = 0;  ///< permission bits with setuid, setgid and sticky
  std::uint64_t uid = 0, gid = 0;
  std::uint64_t size = 0;              ///< bytes of a file; 0 for all else
  std::int64_t mtime = 0;              ///< seconds since 1970
  std::uint32_t major = 0, minor = 0;  ///< of a device
};

/// Writes tar archives, byte for byte as the Writer of Go's archive/tar does for a header
/// without a format: the tools of Cloud Native Buildpacks use that one, and digests of
/// layers are digests of these bytes.
///
/// Each entry has the first of these formats that can hold it: ustar (POSIX.1-1988, names of up to
/// 256 bytes split at a "/"), pax (POSIX.1-2001: long and non-ASCII names, 8 GiB and more, large
/// ids), GNU (device numbers of 22 bits and more). User and group names are empty.
class TarWriter {
 public:
  /// @param sink  Borrowed; gets the archive's bytes.
  explicit TarWriter(ByteSink& sink) : sink_(sink) {}

  /// Begins the next member; the one before must be complete.
  /// @return Errc::invalid_input: no format can hold it, as Go refuses it too; Errc::failed: the
  ///         member before has got fewer bytes than its entry said; errors of the sink.
  Result<void> entry(const TarHeader& entry);

  /// The next bytes of the file begun last. @return Errc::failed: more than its entry said.
  Result<void> write(std::span<const std::byte> chunk);

  /// Ends the archive. Nothing may be written afterwards.
  Result<void> finish();

 private:
  Result<void> end_member();
  Result<void> raw_header(const std::byte* block, std::uint64_t size);
  Result<void> special(const std::string& name, const std::string& content, char type, bool gnu);
  Result<void> zeros(std::uint64_t count);

  ByteSink& sink_;
  std::uint64_t left_ = 0;     // of the present file
  std::uint64_t padding_ = 0;  // behind it
};

}  // namespace locald::oci
