#include "server/projects/own_changes.h"

#include <algorithm>
#include <iterator>

namespace locald::server {

std::optional<std::string> OwnChanges::changed(const std::set<std::string>& paths,
                                               std::optional<Duration> up) {
  if (up && *up > kSoon) {
    *this = {};
    return std::nullopt;
  }
  ++starts_;
  std::set<std::string> both;
  std::set_intersection(common_.begin(), common_.end(), paths.begin(), paths.end(),
                        std::inserter(both, both.end()));
  same_ = both.empty() ? 1 : same_ + 1;
  common_ = both.empty() ? paths : both;
  if (same_ < kSameFile && starts_ < kAnyFile) return std::nullopt;
  return *common_.begin();
}

}  // namespace locald::server
