#include <cstdlib>
#include <string>
#include <string_view>

#include "project/compose/env_files.h"

/// Properties of files of variables as compose reads them: what the environment has stays; names
/// can be names; what is wrong stands on a line; what is read is bounded.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::project::compose;  // NOLINT
  const std::string text(reinterpret_cast<const char*>(data), size);
  const FileAccess access{[](const std::string&) { return PathKind::file; },
                          [&](const std::string&) { return locald::Result<std::string>(text); }};
  Report report;
  Environment environment = {{"HOME", "/h"}, {"BIG", std::string(100000, 'b')}};
  read_env_files({"/f"}, access, environment, report);
  if (environment["HOME"] != "/h") std::abort();
  std::size_t bytes = 0;
  for (const auto& [name, value] : environment) {
    if (name.empty() || name.find_first_of("=\n ") != std::string::npos) std::abort();
    bytes += value.size();
  }
  if (bytes > 32u << 20) std::abort();
  for (const auto& problem : report.problems)
    if (problem.at.line == 0 || problem.message.empty()) std::abort();
  return 0;
}
