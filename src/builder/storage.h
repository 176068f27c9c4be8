#pragma once
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"

namespace locald::builder {

/// Removing what containers leave on disk. Its owners are mapped ids, so a worker
/// does it; it is renamed out of the way first, so that the name is free at once and
/// a removal that was cut short is finished by the next one.

/// The key of Environment::lock_for() that is held while a start looks whether what it will stand
/// on is there and writes its stamp, and while what no stamp names is chosen and removed: a start
/// stands on nothing that has just been taken away.
inline constexpr const char* kInUse = "in use";

/// What is beneath each container that has a writable folder, running or kept (Assembly::stamp).
Result<std::vector<std::string>> container_stamps(const Paths& paths);

/// What is beneath the container `container_key`; "" where it has no writable folder.
std::string container_stamp(const Paths& paths, const std::string& container_key);

/// A container's writable folder; one that is not there is fine.
Result<void> remove_container(Environment& environment, const std::string& container_key,
                              const std::stop_token& stop);

/// The first half of it, in microseconds and without a worker: the name is free, the
/// files are out of the way. sweep_discarded() does the rest, for all at once.
Result<void> discard_container(Environment& environment, const std::string& container_key);

/// Removes what was discarded and what removals that were cut short left behind
/// (a server that starts calls it too). Nothing there: no worker. A worker that is killed is
/// replaced, a few times.
Result<void> sweep_discarded(Environment& environment, const std::stop_token& stop);

/// A project's volumes, named and without a name (`down --volumes`).
Result<void> remove_volumes(Environment& environment, const std::string& project,
                            const std::stop_token& stop);

/// One container's volumes without a name (`container run --rm`); as discard_container().
Result<void> discard_anonymous_volumes(Environment& environment, const std::string& project,
                                       const std::string& container_key);

/// Removes the writable layers of the project's containers (all generations of a service's
/// configuration) and, with `volumes`, its volumes.
Result<void> remove_project_data(Environment& environment, const std::string& project, bool volumes,
                                 const std::stop_token& stop);

}  // namespace locald::builder
