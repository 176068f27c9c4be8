#include <cstdlib>
#include <string_view>

#include "server/dotenv.h"

/// Properties: names can be names of variables; what is wrong stands on a line; single quotes are
/// literal.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::server;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Problems problems;
  const auto entries = parse_dotenv(
      text, "/f",
      [](const std::string& n) {
        return n == "HOME" ? std::optional<std::string>("/h") : std::nullopt;
      },
      problems);
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
