#pragma once
#include <map>
#include <set>
#include <string>

#include "project/service_config.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// The sentence that says which host processes are about to start with a captured environment that
/// is not the one `here`, and in which variables they differ; "" where that is nobody's concern.
/// Variables that each terminal has its own of are not looked at.
std::string other_environment(const Supervisor& supervisor,
                              const std::map<std::string, project::ServiceConfig>& configs,
                              const std::set<std::string>& selected,
                              const project::UserContext& here,
                              const project::UserContext& captured);

}  // namespace locald::server
