#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log/log_format.h"
#include "base/result.h"

namespace locald {

/// A place in one service's log: the record with number `record` of `segment`.
struct LogPosition {
  std::uint64_t segment = 0;
  std::uint64_t record = 0;
};

/// One line of one service. `text` is valid until the next call of the reader.
struct LogLine {
  std::size_t source = 0;     ///< index into what the reader was opened with
  std::uint64_t time_ns = 0;  ///< CLOCK_REALTIME when its first byte was read
  LogStream stream = LogStream::out;
  std::string_view text;      ///< as the service wrote it, without the newline
  std::string_view instance;  ///< nonce of the start of the service that wrote it
  bool cut = false;  ///< longer than LogReader::kMaxLine: the next line of this stream continues it
};

/// Reads services' logs (base/log/log_format.h) line by line, merged by time.
///
///     auto reader = TRY(LogReader::open({{.dir = dir}}, {.follow = true, .tail = 100}));
///     LogLine line;
///     while (true) {
///       while (TRY(reader.next(line))) print(line);
///       wait_readable(reader.fd());          // with `follow`; else this is the end
///     }
///
/// Never writes and never locks, so no reader slows a service. Follows over rotation and
/// restarts of the service. Pieces of one stream are joined to lines; an unfinished line
/// is given out when its instance has ended or, without `follow`, at the end. What was
/// dropped comes as a line of stream `note`: "[locald: N bytes dropped]".
/// Memory: per source a window of 1 MiB and at most kMaxLine per stream. Thread-compatible.
class LogReader {
 public:
  static constexpr std::size_t kMaxLine = 16u << 20;  ///< bytes

  struct Source {
    std::string dir;  ///< the folder of segments; with `follow` it is created where it is missing
    LogPosition from = {};  ///< the first existing place from here on
  };
  struct Options {
    bool follow = false;
    std::optional<std::uint64_t> tail =
        {};                      ///< only the last so many lines of each source, found from the end
    std::uint64_t since_ns = 0;  ///< only lines from this CLOCK_REALTIME on
  };

  static Result<LogReader> open(std::vector<Source> sources, Options options);
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;
  ~LogReader();

  /// One more source, numbered after those there are; the options given to open() hold for it
  /// but `tail`. Lines given out before are no longer valid.
  Result<void> add(const Source& source);

  /// The next line of all sources, earliest first as far as it is there already.
  /// @return false where there is none now; with `follow` fd() tells when to ask again.
  Result<bool> next(LogLine& line);

  /// With `follow` an inotify descriptor for poll(2); else -1.
  int fd() const noexcept;

  /// Where a log ends at this moment: a reader opened from here sees what comes later.
  static LogPosition end_of(const std::string& dir);

 private:
  struct Impl;
  explicit LogReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace locald
