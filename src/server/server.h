#pragma once
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// Runs the server of this user until it is told to end; its services keep running. Takes over
/// what an earlier server left. In a process that has one thread.
/// @param ready  where a byte goes when it listens (ipc/server_start.h); none: nobody waits
/// @return an exit code; why it cannot run is in the log before `ready` is closed
int run(Paths paths, UniqueFd ready);

/// What a server needs before it can be one is there: asked also by clients that are about to stop
/// the present one for it. Nothing is changed, no lock is taken.
Result<void> check_start(const Paths& paths);

}  // namespace locald::server
