#pragma once
#include <cstddef>
#include <cstdint>

#include "base/log/log_format.h"

namespace locald::shim {

/// Writes one instance's output into a log folder, as base/log/log_format.h draws it.
///
/// A segment ends at 64 MiB (or an eighth of the folder's limit); before each new
/// one the oldest segments go until the folder holds to its limit, also those of
/// earlier instances, never the one being written.
///
/// Full disk, I/O error: what cannot be written is dropped and counted, a new
/// attempt follows at most once a second, and the first that succeeds leaves a
/// note with the number of bytes lost. A write that merely takes long holds
/// the caller up: the pipe's back-pressure, nothing is lost.
class LogWriter {
 public:
  /// Takes the folder's descriptor over. On failure the log is in its failed state: append() counts
  /// and retries.
  void open(int dir, std::uint64_t max_bytes, const char* nonce, std::uint64_t started_ns);
  bool is_open() const { return dir_ >= 0; }

  /// One piece, at most kLogPieceMax bytes, read just now.
  void append(LogStream stream, const char* data, std::size_t size);
  /// Writes the note of bytes still uncounted, closes. dropped() stays.
  void close();

  std::uint64_t dropped() const { return dropped_; }  ///< bytes, in all
  int last_error() const { return error_; }           ///< errno of the last failed write, or 0

 private:
  bool new_segment();
  bool piece(LogStream stream, std::uint8_t flags, const char* data, std::uint32_t length);
  bool flush_note();
  void make_room();

  int dir_ = -1, log_ = -1, index_ = -1;
  std::uint64_t segment_ = 0, segment_max_ = 0, max_bytes_ = 0;
  std::uint64_t offset_ = 0, index_offset_ = 0, sequence_ = 0;
  std::uint64_t dropped_ = 0, unnoted_ = 0;
  std::uint64_t started_ns_ = 0;
  std::int64_t retry_at_ms_ = 0;
  int error_ = 0;
  char nonce_[32] = {};
};

}  // namespace locald::shim
