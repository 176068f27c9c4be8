#pragma once
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/file_stamp.h"
#include "base/sys/path_judge.h"
#include "oci/ref/digest.h"

namespace locald::cnb {

class PathFilter;

/// One folder, file or symlink of an app's source.
struct SourceEntry {
  enum class Kind : std::uint8_t { folder = 'd', file = 'f', symlink = 'l' };
  std::string path;  ///< relative to the source: "src/main.js"
  Kind kind = Kind::file;
  std::uint32_t mode = 0;  ///< permission bits with setuid, setgid and sticky
  std::uint64_t size = 0;  ///< bytes of a file
  // What tells, without reading it, that a file is as it was:
  std::int64_t mtime_ns = 0, ctime_ns = 0;
  std::uint64_t inode = 0;
  std::string hash;  ///< SHA-256 in hex of a file's content or a symlink's target; "" for folders

  /// The same thing to a build: times and inodes apart.
  bool same_content(const SourceEntry& other) const {
    return kind == other.kind && mode == other.mode && hash == other.hash;
  }
};

/// All of an app's source that is sent to a build: what the project's filter
/// keeps, sorted by path. It is the fingerprint's largest part, and a stat cache as git's index is
/// one: a scan reads only files that have changed. A value.
struct SourceIndex {
  std::vector<SourceEntry> entries;
  std::int64_t taken_ns = 0;         ///< CLOCK_REALTIME before the scan looked at the first file
  std::vector<std::string> skipped;  ///< sockets, FIFOs and devices: named, not sent
  std::uint64_t read_bytes = 0;      ///< that the scan had to read
  bool as_known = false;  ///< all is as the earlier scan has it, which need not be replaced

  std::uint64_t bytes() const;  ///< of all files
  /// Who finds the file of `entry` with the same times and inode finds the content that was hashed.
  bool settled(const SourceEntry& entry) const { return is_settled(entry.ctime_ns, taken_ns); }
  /// Of path, kind, mode and content of every entry that lies in none of the folders `without`.
  oci::Digest digest(const std::vector<std::string>& without = {}) const;

  /// nullopt where there is none, or a damaged one, or one of another version.
  static std::optional<SourceIndex> load(const std::string& file);
  Result<void> save(const std::string& file) const;
};

/// How messages call what is scanned.
struct ScanWords {
  std::string what = "the app's source";
  std::string way_out = "leave it out: `exclude` in project.toml";
};

/// Scans `folder`. Nothing is changed, no symlink in it is followed; symlinks that lead out of it
/// are kept as they are.
/// @param known  An earlier scan of the same folder: files that look as they did then are not read.
/// @return Errc::not_found, Errc::denied: a file or folder that its owner, and so
///         the build user, may not read (named, with the way out); Errc::invalid_input: more than a
///         million entries, or 256 levels; Errc::cancelled.
Result<SourceIndex> scan_source(const JudgedPath& folder, const PathFilter& filter,
                                const SourceIndex* known, const std::stop_token& stop,
                                const ScanWords& words = {});

/// What SourceEntry::hash is of a regular file, read from the start; of one with holes what is in
/// it, and where: a terabyte of nothing is not read.
/// @param read_bytes  What had to be read is added.
Result<std::string> hash_source_file(int file, std::uint64_t size, const std::stop_token& stop,
                                     std::uint64_t& read_bytes);

}  // namespace locald::cnb
