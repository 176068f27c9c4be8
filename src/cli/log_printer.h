#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log/log_reader.h"

namespace locald::cli {

/// Prints lines of several services on stdout: prefixed, coloured, or as JSON.
/// What a service wrote is never interpreted.
class LogPrinter {
 public:
  struct Options {
    std::vector<std::string> names;  ///< of the reader's sources, in its order
    bool prefix = true;              ///< "web | "
    bool timestamps = false;
    bool json = false;
    /// Which lines; empty: all.
    std::function<bool(const LogLine&)> takes = {};
    /// Of those that are there at first, so many of each source, the last ones.
    std::optional<std::uint64_t> last = {};
  };
  explicit LogPrinter(Options options);

  /// The reader got one more source.
  void add(const std::string& name);

  /// Prints all lines that the reader has now.
  /// @return false where nobody reads stdout any more.
  Result<bool> print_available(LogReader& reader);

  /// One line as it is printed, with its newline.
  std::string format(const LogLine& line);

 private:
  void make_prefixes();
  void append(std::string& text, const LogLine& line);
  Result<void> keep_last(LogReader& reader, std::string& text);

  Options options_;
  std::vector<std::string> prefixes_;
  std::vector<bool> cut_;  // per source: the line before has no newline yet
};

}  // namespace locald::cli
