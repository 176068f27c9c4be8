#include <cstdlib>
#include <string_view>

#include "project/resolve/dotenv.h"

/// Properties: names can be names of variables; what is wrong stands on a line; single quotes are
/// literal; values are bounded, whatever refers to what; CR LF is LF.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::project;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Problems problems;
  const auto entries = parse_dotenv(
      text, "/f",
      [](const std::string& n) {
        if (n == "BIG") return std::optional(std::string(100000, 'b'));
        return n == "HOME" ? std::optional<std::string>("/h") : std::nullopt;
      },
      problems);
  std::size_t bytes = 0;
  for (const DotenvEntry& e : entries) {
    if (e.value && e.value->size() > kMaxValue) std::abort();
    bytes += e.value ? e.value->size() : 0;
  }
  if (bytes > kMaxServiceText) std::abort();
  if (text.find('\r') == std::string_view::npos && text.size() < 4096) {
    std::string dos;
    for (const char c : text) dos += c == '\n' ? std::string("\r\n") : std::string(1, c);
    Problems other;
    const auto same = parse_dotenv(dos, "/f", {}, other);
    Problems own;
    const auto plain = parse_dotenv(text, "/f", {}, own);
    if (same.size() != plain.size() || other.size() != own.size()) std::abort();
    for (std::size_t i = 0; i < same.size(); ++i)
      if (same[i].name != plain[i].name || same[i].value != plain[i].value ||
          same[i].line != plain[i].line)
        std::abort();
  }
  for (const DotenvEntry& e : entries)
    if (e.name.empty() || e.name.find_first_of("=\n \0") != std::string::npos) std::abort();
  for (const Problem& p : problems)
    if (p.at.line == 0 || p.message.empty()) std::abort();
  if (text.find_first_of("'\\\n\r") == std::string_view::npos) {
    Problems none;
    const auto quoted = parse_dotenv("A='" + std::string(text) + "'", "/f", {}, none);
    if (!none.empty() || quoted.size() != 1 || quoted[0].value != text) std::abort();
  }
  return 0;
}
