#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "builder/container_options.h"
#include "oci/spec/runtime_spec.h"

namespace locald::builder {

/// Limits under which nothing starts are refused, with Errc::invalid_input.
Result<void> check_minimum(const ResourceLimits& limits);

/// Whether `name` ("nofile") is a limit of processes, and `soft` not above `hard`; -1: no limit.
Result<void> check_ulimit(std::string_view name, std::int64_t soft, std::int64_t hard);

/// What `ulimits` may be set to at most, by name; what is not there has no bound.
/// @param root  Containers run as the machine's root, who may raise limits.
std::map<std::string, std::int64_t> hard_limits(bool root);

/// The limits `asked` for, none above `most`. @param notices  Takes a sentence for each lower one.
std::vector<oci::spec::Rlimit> process_limits(
    const std::map<std::string, std::vector<std::int64_t>>& asked,
    const std::map<std::string, std::int64_t>& most, std::vector<std::string>& notices);

/// @param can_have  Containers have cgroups of their own.
/// @return Errc::unsupported: they have none, and `limits` has any.
Result<void> check_limits(const ResourceLimits& limits, bool can_have);

}  // namespace locald::builder
