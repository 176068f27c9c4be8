#pragma once
#include <string>

#include "base/json/json.h"
#include "project/project_spec.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// One service as `status` shows it; a field that does not apply is null.
Json status_json(const std::string& name, const Supervisor::Unit& unit,
                 const std::string& probe_failure);
/// The same for one that was never brought up.
Json status_json_stopped(const project::ServiceSpec& spec);

}  // namespace locald::server
