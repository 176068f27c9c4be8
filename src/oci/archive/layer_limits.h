#pragma once
#include <cstdint>

namespace locald::oci {

/// What one layer may ask of us before it is refused (Errc::invalid_input,
/// Errc::no_space where the disk is what is short). The defaults are generous
/// for every image we know and small enough that none can fill a machine.
struct LayerLimits {
  std::uint64_t max_entries = 2'000'000;
  std::uint32_t max_path_bytes = 4096;               ///< a whole name in the archive
  std::uint32_t max_component_bytes = 255;           ///< one part of it (NAME_MAX)
  std::uint32_t max_depth = 256;                     ///< parts of a name
  std::uint32_t max_link_bytes = 4096;               ///< target of a symlink or hard link
  std::uint32_t max_sparse_extents = 65'536;         ///< data pieces of one sparse file
  std::uint32_t max_xattr_bytes = 64u << 10;         ///< one value
  std::uint32_t max_entry_xattr_bytes = 256u << 10;  ///< all names and values of one entry
  std::uint64_t max_logical_bytes = 64ull << 30;     ///< sum of the files' sizes, holes included
  std::uint64_t keep_free_bytes = 1ull << 30;  ///< left on the disk; at most 5 % of a small one
  std::uint32_t max_ratio = 1000;              ///< uncompressed : compressed …
  std::uint64_t ratio_from_bytes = 64ull
                                   << 20;  ///< … looked at from this many uncompressed bytes on
  std::uint32_t max_zstd_window_log = 27;  ///< 2^27 = 128 MiB of memory
};

}  // namespace locald::oci
