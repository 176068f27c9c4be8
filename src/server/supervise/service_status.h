#pragma once
#include <string>

#include "ipc/messages/service.h"
#include "project/project_spec.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// One service as `status` shows it.
ipc::ServiceStatus service_status(const std::string& name, const Supervisor::Unit& unit,
                                  const std::string& probe_failure);
/// The same for one that was never brought up.
ipc::ServiceStatus stopped_status(const project::ServiceSpec& spec);

}  // namespace locald::server
