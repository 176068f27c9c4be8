#include "cli/log_filter.h"

#include <utility>

namespace locald::cli {

void LogFilter::Free::operator()(regex_t* pattern) const noexcept {
  ::regfree(pattern);
  delete pattern;
}

Result<LogFilter> LogFilter::make(const std::string& pattern, bool any_case,
                                  std::uint64_t until_ns) {
  LogFilter out;
  out.until_ns_ = until_ns;
  if (pattern.empty()) return out;
  auto compiled = std::make_unique<regex_t>();
  const int flags = REG_EXTENDED | REG_NOSUB | (any_case ? REG_ICASE : 0);
  if (const int bad = ::regcomp(compiled.get(), pattern.c_str(), flags); bad != 0) {
    char why[200];
    ::regerror(bad, compiled.get(), why, sizeof why);
    return Error(Errc::invalid_input, "invalid pattern \"" + pattern + "\": " + why);
  }
  out.pattern_.reset(compiled.release());
  return out;
}

bool LogFilter::takes(const LogLine& line) const {
  if (until_ns_ != 0 && line.time_ns > until_ns_) return false;
  if (!pattern_) return true;
  regmatch_t range{};  // NUL bytes too (REG_STARTEND)
  range.rm_eo = static_cast<regoff_t>(line.text.size());
  const char* text = line.text.empty() ? "" : line.text.data();
  return ::regexec(pattern_.get(), text, 1, &range, REG_STARTEND) == 0;
}

}  // namespace locald::cli
