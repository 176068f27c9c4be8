#pragma once
#include "project/project_spec.h"
#include "project/service_graph.h"

namespace locald::project {

/// What can be wrong in a project however it was written: names, dependencies
/// (unknown, in a cycle, on an end that never comes), ports (two services on one),
/// health checks without a port, references to services that have no port,
/// malformed `${…}`. Pure; appends to `problems`.
void check_project(const ProjectSpec& spec, Problems& problems);

/// Who waits for whom: the edges of `depends_on`.
ServiceGraph make_graph(const ProjectSpec& spec);

/// Every text of a service in which `${…}` may stand.
std::vector<const Text*> texts_of(const ServiceSpec& service);

}  // namespace locald::project
