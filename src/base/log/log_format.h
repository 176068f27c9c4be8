#pragma once
#include <cstdint>

/// How a service's output lies on disk. Shim-safe: plain structs and constants.
///
/// A log is a folder of segments, numbered upwards without reuse:
///
///     0000000000000007.log   raw bytes as the service wrote them: grep works on it
///     0000000000000007.idx   a LogIndexHeader, then one LogRecord per piece of the .log
///
/// The shim of one start of a service (an *instance*) writes one or more
/// segments of its own and never touches an older one. It writes a piece first
/// to .log, then its record to .idx (R-RECORD-LAST): a reader believes only what the index
/// covers, so a cut tail is never shown, and bytes beyond the last record are a
/// write under way (or one that a kill -9 cut, which a later reader may show).
///
/// A piece is what one read(2) gave, one stream, at most kLogPieceMax bytes. Lines
/// of stdout and stderr may interleave at piece borders; `partial` tells that the
/// piece does not end with a newline, so a reader joins it with the next piece
/// of the same stream.
namespace locald {

inline constexpr std::uint32_t kLogFormat = 1;
inline constexpr std::uint64_t kLogMagic = 0x31474f4c444c434c;  // "LCLDLOG1", little endian
inline constexpr std::uint32_t kLogPieceMax = 1u << 20;         ///< bytes

enum class LogStream : std::uint8_t {
  out = 1,
  err = 2,
  /// A note of the shim itself, in no .log file: see LogRecord::flags.
  note = 3,
};

struct LogIndexHeader {
  std::uint64_t magic;
  std::uint32_t format;
  std::uint32_t header_bytes;    ///< where the first record starts
  char instance[32];             ///< the instance's nonce, NUL-padded
  std::uint64_t started_ns;      ///< CLOCK_REALTIME when the instance started
  std::uint64_t first_sequence;  ///< of the first record
};
static_assert(sizeof(LogIndexHeader) == 64);

enum : std::uint8_t {
  kLogPartial = 1,  ///< does not end with '\n'
  kLogDropped = 2,  ///< a note: `length` bytes were lost here (disk full, or a stalled write)
};

struct LogRecord {
  std::uint64_t sequence;  ///< 1, 2, 3 … per instance; a gap never happens
  std::uint64_t time_ns;   ///< CLOCK_REALTIME when the bytes were read
  std::uint64_t offset;    ///< in the .log
  std::uint32_t length;    ///< bytes; for a note what the flag says
  std::uint8_t stream;     ///< LogStream
  std::uint8_t flags;
  std::uint16_t reserved;
};
static_assert(sizeof(LogRecord) == 32);

}  // namespace locald
