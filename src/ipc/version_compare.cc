#include <algorithm>

#include "base/strings.h"
#include "ipc/version.h"

namespace locald::ipc {
namespace {

/// Number by number; what is missing or no number counts as 0.
int compare_numbers(std::string_view a, std::string_view b) {
  const auto left = split(a, '.'), right = split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const auto l = i < left.size() ? parse_u64(left[i]).value_or(0) : 0;
    const auto r = i < right.size() ? parse_u64(right[i]).value_or(0) : 0;
    if (l != r) return l < r ? -1 : 1;
  }
  return 0;
}

}  // namespace

int compare(const Build& a, const Build& b) {
  if (const int by_version = compare_numbers(a.version, b.version); by_version != 0)
    return by_version;
  const auto time = [](std::string_view build) { return build.substr(0, build.find('.')); };
  return compare_numbers(time(a.build), time(b.build));
}

}  // namespace locald::ipc
