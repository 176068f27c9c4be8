#include "builder/limits.h"

#include <string>
#include <vector>

#include "base/strings.h"

namespace locald::builder {

Result<void> check_minimum(const ResourceLimits& limits) {
  if (limits.memory_bytes && *limits.memory_bytes < (6u << 20))
    return Error(Errc::invalid_input, "memory: at least 6m, or nothing starts");
  if (limits.cpus && (!(*limits.cpus >= 0.01) || *limits.cpus > 100000))
    return Error(Errc::invalid_input, "cpus: at least 0.01");
  return {};
}

Result<void> check_limits(const ResourceLimits& limits, bool can_have) {
  if (!limits.any() || can_have) return {};
  std::vector<std::string> asked;
  if (limits.memory_bytes) asked.emplace_back("memory");
  if (limits.cpus) asked.emplace_back("cpus");
  if (limits.pids) asked.emplace_back("pids");
  return Error(Errc::unsupported, join(asked, ", ") +
                                      ": limits need a cgroup of their own, and rootless "
                                      "containers have none in this version")
      .with_hint("leave " + join(asked, ", ") + " out of the service, or run locald as root");
}

}  // namespace locald::builder
