#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "cnb/source/path_filter.h"

using locald::cnb::PathFilter;

namespace {
void check(bool ok) {
  if (!ok) std::abort();
}
}  // namespace

/// The last line is a path, the lines before it are patterns. Properties: what is kept can be
/// walked to; an excluded folder keeps nothing; one pattern without `!` includes what it excludes;
/// a path with a backslash before each byte is a pattern that matches it.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::vector<std::string> patterns =
      locald::split(std::string_view(reinterpret_cast<const char*>(data), size), '\n');
  std::vector<std::string> parts;
  for (const std::string& part : locald::split(patterns.back(), '/'))
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  patterns.pop_back();
  if (parts.empty()) return 0;
  const std::string path = locald::join(parts, "/");

  const auto include = PathFilter::include(patterns);
  const auto exclude = PathFilter::exclude(patterns);
  const auto both = include.without(patterns);
  bool excluded_above = false;
  for (std::size_t count = 1; count <= parts.size(); ++count) {
    const std::string folder = locald::join(
        std::vector(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count)), "/");
    for (const bool is_dir : {true, false}) {
      if (!is_dir && count < parts.size()) continue;
      check(!excluded_above || !exclude.keeps(folder, is_dir));
      for (const auto* filter : {&include, &exclude, &both}) {
        if (!filter->keeps(folder, is_dir)) continue;
        check(filter->may_hold(""));
        for (std::size_t above = 1; above < count; ++above)
          check(filter->may_hold(locald::join(
              std::vector(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(above)),
              "/")));
      }
      if (patterns.size() == 1 && !patterns[0].starts_with('!'))
        check(include.keeps(folder, is_dir) != exclude.keeps(folder, is_dir));
    }
    excluded_above = excluded_above || !exclude.keeps(folder, true);
    check(exclude.may_hold(folder) == exclude.keeps(folder, true));
  }

  if (path.ends_with('\r')) return 0;  // belongs to the end of the line
  std::string quoted = "/";
  for (const char c : path) {
    if (c == '\n') return 0;
    if (c != '/') quoted += '\\';
    quoted += c;
  }
  check(!PathFilter::exclude({quoted}).keeps(path, false));
  check(PathFilter::include({quoted}).keeps(path, false));
  return 0;
}
