#pragma once
#include <regex.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/log/log_reader.h"

namespace locald::cli {

/// Which lines `logs` prints.
class LogFilter {
 public:
  /// @param pattern   POSIX extended, as of `grep -E`; empty: every line fits.
  /// @param until_ns  The last moment, CLOCK_REALTIME; 0: there is none.
  /// @return Errc::invalid_input with what is wrong in the pattern.
  static Result<LogFilter> make(const std::string& pattern, bool any_case, std::uint64_t until_ns);

  bool takes(const LogLine& line) const;

 private:
  struct Free {
    void operator()(regex_t* pattern) const noexcept;
  };
  std::unique_ptr<regex_t, Free> pattern_;
  std::uint64_t until_ns_ = 0;
};

}  // namespace locald::cli
