#include "server/projects/refreshed_values.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace locald::server {
namespace {

std::string joined(const std::set<std::string>& names) {
  return join({names.begin(), names.end()}, ", ");
}

}  // namespace

RefreshedValues::Notices RefreshedValues::note(const project::Capture& now,
                                               const project::Uses& uses, const Captured& before,
                                               const std::set<std::string>& others) {
  std::map<std::string, std::set<std::string>> found;
  for (const auto& [name, services] : uses)
    for (const std::string& service : services) {
      if (!others.contains(service)) continue;
      const auto earlier = before(service, name);
      const auto later = now.find(name);
      if (earlier && later != now.end() && earlier->value != later->second.value)
        found[service].insert(name);
    }
  Notices out;
  for (auto& [service, names] : found) {
    out.emplace_back(
        service,
        fmt::format("keeps the earlier value of {} until the next `locald up`", joined(names)));
    names_[service].merge(names);
  }
  return out;
}

RefreshedValues::Notices RefreshedValues::take(const std::set<std::string>& services,
                                               const std::map<std::string, std::string>& changes) {
  Notices out;
  for (const std::string& service : services) {
    const auto names = names_.extract(service);
    const auto change = changes.find(service);
    if (names.empty() || change == changes.end() || !change->second.starts_with("recreated"))
      continue;
    out.emplace_back(service, fmt::format("recreated: `locald up --env-refresh` has changed {}, "
                                          "which it uses",
                                          joined(names.mapped())));
  }
  return out;
}

}  // namespace locald::server
