#pragma once
#include "project/project_spec.h"
#include "project/resolve/texts.h"
#include "project/service_config.h"

namespace locald::project {

/// Resolves how the service's health is asked for, into `out.health`.
void resolve_health(Texts& texts, const ServiceSpec& spec, ServiceConfig& out);

}  // namespace locald::project
