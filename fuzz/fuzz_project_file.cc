#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/paths.h"
#include "project/project_check.h"
#include "project/resolve/interpolation.h"
#include "project/resolve/resolve.h"
#include "project/toml/toml_front.h"

using namespace locald::project;  // NOLINT: a fuzz target

/// Properties: every problem stands on a line of the file; a file without problems has
/// valid names, no cycle, and configurations that are bounded and survive their own JSON.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ParsedProject parsed = parse_project_toml(text, "/nonexistent/locald.toml");
  check_project(parsed.spec, parsed.problems);
  const auto lines = static_cast<unsigned>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const Problem& p : parsed.problems)
    if (p.at.line > lines || p.message.empty()) std::abort();
  if (!parsed.problems.empty()) return 0;
  if (!make_graph(parsed.spec).cycle().empty()) std::abort();
  for (const ServiceSpec& s : parsed.spec.services)
    if (!valid_name(s.name)) std::abort();
  const UserContext user{
      {{"A", "a"}, {"HOME", "/nonexistent"}, {"BIG", std::string(100000, 'b')}}, 022, {}};
  const std::map<std::string, int> ports;
  const auto paths = locald::Paths::from_env(
      [](const std::string& n) {
        return n == "LOCALD_HOME" ? std::optional<std::string>("/nonexistent/home") : std::nullopt;
      },
      1000);
  if (!paths) std::abort();
  const Resolved resolved = resolve({parsed.spec, "p", user, ports, *paths, {}});
  for (const auto& [name, config] : resolved.services) {
    std::size_t bytes = 0;
    for (const auto& [variable, value] : config.env) {
      if (value.size() > kMaxValue) std::abort();
      bytes += value.size();
    }
    if (bytes > kMaxServiceText) std::abort();
  }
  if (!resolved.problems.empty()) return 0;
  for (const auto& [name, config] : resolved.services) {
    const std::string json = config.to_json().dump();
    const auto read = locald::Json::parse(json);
    if (!read) continue;  // bytes that are no UTF-8 stay out of JSON
    auto again = ServiceConfig::from_json(*read);
    if (!again || again->to_json().dump() != json) std::abort();
  }
  return 0;
}
