#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log/log_format.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald {

/// One segment of a log, open for reading (log_format.h). What the index does
/// not cover is not there. Used by LogReader. Thread-compatible.
class LogSegment {
 public:
  /// @return Errc::not_found    gone, or its header is not written yet
  ///         Errc::unsupported  of a format that this version does not know
  static Result<LogSegment> open(int dir_fd, std::uint64_t number);

  std::uint64_t number() const noexcept { return number_; }
  /// The nonce in the header.
  std::string_view instance() const noexcept;

  /// The record with this number, or nothing where the index ends before it.
  Result<std::optional<LogRecord>> record(std::uint64_t index);
  /// Records in the index at this moment.
  std::uint64_t count() const;

  /// `size` bytes of the .log (at most kLogPieceMax); fewer where the file is
  /// shorter than its index says (a full disk, a power cut). Valid until the next call.
  Result<std::string_view> bytes(std::uint64_t offset, std::size_t size);
  /// Bytes of the .log at this moment.
  std::uint64_t size() const;

  /// The numbers of the segments in a folder, upwards.
  static Result<std::vector<std::uint64_t>> list(int dir_fd);
  /// "0000000000000007.idx"
  static std::string file_name(std::uint64_t number, std::string_view ending);

 private:
  LogSegment() = default;

  std::uint64_t number_ = 0;
  UniqueFd log_, index_;
  LogIndexHeader header_{};
  std::vector<LogRecord> records_;  // a window of the index
  std::uint64_t first_record_ = 0;  // number of records_[0]
  std::string window_;              // a window of the .log
  std::uint64_t window_offset_ = 0;
};

}  // namespace locald
