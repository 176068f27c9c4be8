#include "builder/limits.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/rlimits.h"

namespace locald::builder {

namespace {

/// Of this thread, in its user namespace. Spec: capget(2).
bool has_capability(unsigned number) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[number / 32].effective >> (number % 32) & 1) != 0;
}

}  // namespace

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

Result<void> check_ulimit(std::string_view name, std::int64_t soft, std::int64_t hard) {
  std::vector<std::string> names;
  for (const RlimitName& known : kRlimits) names.push_back(to_lower(known.name));
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const auto near = did_you_mean(std::string(name), names);
    return Error(Errc::invalid_input, "there is no limit \"" + std::string(name) + "\"")
        .with_hint(near ? "did you mean '" + *near + "'?" : "there are: " + join(names, ", "));
  }
  if (soft < -1 || hard < -1 || (hard >= 0 && (soft < 0 || soft > hard)))
    return Error(Errc::invalid_input, "limit " + std::string(name) +
                                          ": soft is above hard, or "
                                          "below -1, which is no limit");
  return {};
}

std::map<std::string, std::int64_t> hard_limits(bool root) {
  std::map<std::string, std::int64_t> out;
  // In a container of its own, root may be without the right.
  const bool may_raise = root && has_capability(CAP_SYS_RESOURCE);
  for (const RlimitName& known : kRlimits) {
    struct rlimit limit {};
    if (!may_raise && ::getrlimit(known.number, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
      out[to_lower(known.name)] = static_cast<std::int64_t>(limit.rlim_max);
  }
  if (const auto most = read_file("/proc/sys/fs/nr_open", 64); may_raise && most)
    if (const auto number = parse_u64(trim(*most)); number && *number <= INT64_MAX)
      out["nofile"] = static_cast<std::int64_t>(*number);
  return out;
}

std::vector<oci::spec::Rlimit> process_limits(
    const std::map<std::string, std::vector<std::int64_t>>& asked,
    const std::map<std::string, std::int64_t>& most, std::vector<std::string>& notices) {
  std::vector<oci::spec::Rlimit> out;
  for (const auto& [name, both] : asked) {
    if (both.size() != 2) continue;
    // Greater numbers JSON has not, and no process needs.
    const auto number = [](std::int64_t value) { return value < 0 ? INT64_MAX : value; };
    std::int64_t soft = number(both[0]), hard = number(both[1]);
    if (const auto limit = most.find(name); limit != most.end() && hard > limit->second) {
      hard = limit->second;
      soft = std::min(soft, hard);
      notices.push_back("limit " + name + " is " + std::to_string(hard) +
                        ": that is the most that may be given here");
    }
    std::string type = "RLIMIT_";
    for (const char c : name) type += static_cast<char>(c - 'a' + 'A');
    out.push_back({.type = std::move(type), .soft = soft, .hard = hard});
  }
  return out;
}

}  // namespace locald::builder
