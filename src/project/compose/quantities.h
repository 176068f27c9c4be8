#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Texts of compose files that mean a quantity or a command. Pure.
namespace locald::project::compose {

/// "1m30s", "1.5h", "200ms", "1d", "2w" in nanoseconds; "0" needs no unit.
Result<std::int64_t> parse_duration(std::string_view text);
/// The one spelling of a duration: "1m30s", "1h0m0s", "1.5s", "200ms", "0s".
std::string duration_text(std::int64_t nanoseconds);

/// "64m", "1.5g", "10 kb", "512", "-1": bytes, in powers of 1024.
Result<std::int64_t> parse_bytes(std::string_view text);

/// true and false in any case, and the words of YAML 1.1 for them.
std::optional<bool> parse_flag(std::string_view text);

/// The words of a command: blanks, both kinds of quotes and backslashes count, and nothing of it
/// is run by a shell.
struct Words {
  std::vector<std::string> words;
  std::string_view dropped;  ///< from the first of ; & | < > on: these end the words
};
/// @return Errc::invalid_input for a quote, a bracket or a backslash that stands alone.
Result<Words> split_words(std::string_view text);

}  // namespace locald::project::compose
