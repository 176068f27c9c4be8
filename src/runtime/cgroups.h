#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace locald::runtime {

/// The cgroup of an instance, as config.json's cgroupsPath: one flat name in every hierarchy. Root
/// only.
std::string cgroup_name(const std::string& id);

/// Removes it from all hierarchies that are mounted. Missing ones are fine; one that is
/// still busy is tried again for a second.
Result<void> remove_cgroups(const std::string& id);

/// The file `name` of the instance's cgroup in the hierarchy of `controller` (cgroup v1), or in that
/// of v2 where that is empty; "" where there is none.
std::string cgroup_file(const std::string& id, std::string_view controller, std::string_view name);

}  // namespace locald::runtime
