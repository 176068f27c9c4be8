#pragma once
#include <string>

#include "runtime/worker.h"

namespace locald::builder {

/// The jobs of this room that run in a worker, inside the user namespace: what
/// must see mapped ids. Each job has besides its own members "images", "layers" and
/// "scratch" (folders), "id_map" and "map_id" (Environment::run adds them).
///
/// op             its members, and its result
/// pull           image, policy, login, login_hint: {digest, contacted, devices, warnings:[]};
///                progress as PullProgress
/// unpack         as pull, and dir: {digest, entries, devices, warnings:[]}; progress too
/// push           image (a manifest's digest), name, target, login, login_hint: {uploaded, mounted,
///                there_before, bytes}; progress as PushProgress
/// facts          lowers:[], lower_base, paths:[], and to make mount points in a container's own
///                folder: upper, work, fresh: bool, create:[{path, kind}]: ImageFacts; room: bytes
///                (TreeView::mount)
/// volume         lowers:[], lower_base, source, target: {files}; `target` made with the content of
///                `source`
/// remove_trees   paths:[]: {}
/// remove_layers  diff_ids:[]: {}
///
/// @return an empty handler for an op that is not in the table.
runtime::WorkerHandler find_worker_job(const std::string& op);

}  // namespace locald::builder
