#pragma once
#include <string>

#include "runtime/worker.h"

namespace locald::builder {

/// The jobs of this room that run in a worker; their members: jobs.h.
///
/// op             its result
/// pull           {digest, contacted, devices, warnings:[]}; progress as PullProgress
/// unpack         {digest, entries, devices, warnings:[]}; progress too
/// push           {uploaded, mounted, there_before, bytes}; progress as PushProgress
/// facts          ImageFacts; makes mount points in a container's own folder before
/// volume         {files}
/// remove_trees   {}
/// remove_layers  {}
/// copy           {entries, bytes, left_out}
/// login          {asked}
/// disk           {bytes:[]}
///
/// @return an empty handler for an op that is not in the table.
runtime::WorkerHandler find_worker_job(const std::string& op);

}  // namespace locald::builder
