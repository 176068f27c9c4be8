#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "project/service_config.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// Those of `selected` that have completed and are to run again, with what `up` says of each: of
/// those that run `once`, the ones that it names and the ones whose image has changed; with `all`,
/// as in a compose project, every one. One whose configuration or build is another one is not among
/// them.
std::map<std::string, std::string> done_again(
    const Supervisor& supervisor, const std::map<std::string, project::ServiceConfig>& configs,
    const std::set<std::string>& selected, const std::vector<std::string>& named, bool all,
    const std::function<bool(const project::ServiceConfig&)>& image_changed);

/// Removes those that run once and have done so.
void leave_done(const Supervisor& supervisor, std::set<std::string>& services);

}  // namespace locald::server
