#pragma once
#include <string>

#include "base/result.h"

namespace locald::runtime {

/// The cgroup of an instance, as config.json's cgroupsPath: one flat name in every hierarchy. Root
/// only.
std::string cgroup_name(const std::string& id);

/// Removes it from all hierarchies that are mounted. Missing ones are fine; one that is
/// still busy is tried again for a second.
Result<void> remove_cgroups(const std::string& id);

}  // namespace locald::runtime
