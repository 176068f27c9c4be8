#pragma once
#include "project/compose/report.h"

namespace locald::project::compose {

/// What of a complete, decoded model does not go together: services, networks, volumes and secrets
/// that are not there, cycles of dependencies, two things mounted at one place, keys that exclude
/// each other. Every problem is told, at its place.
/// @param disabled  the services that no profile enables: they are not looked at, but may be
///                  depended on where `required: false` says so.
void check_model(const Node& model, const Node& disabled, Report& report);

}  // namespace locald::project::compose
