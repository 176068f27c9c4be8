#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "server/networks/network_plan.h"

namespace locald::server {

/// A container that runs in a project's networks.
struct NamedContainer {
  std::string service;  ///< whose it is, as in the layout
  std::string bundle;   ///< its folder
};

/// Those of `containers` that reach others by other names with `now` than with `before`.
std::vector<NamedContainer> renamed(const std::vector<NamedContainer>& containers,
                                    const NetworkPlan& before, const NetworkPlan& now);

/// Its /etc/hosts with `plan`. @param service  as in the layout
std::string hosts_of(const std::string& service, const NetworkPlan& plan);

/// Writes the file in place: a container has this very one mounted. A reader sees the old text or
/// the new one. Blocks. @return Errc::not_found: the container has ended.
Result<void> rewrite(const std::string& path, const std::string& text);

}  // namespace locald::server
