#pragma once
#include <optional>
#include <string>

#include "base/result.h"

/// What is left of a service whose shim was killed. A host service's process dies
/// with its shim (PDEATHSIG); what that had started falls to the nearest
/// subreaper, which is the server, or to init where the server is dead too.
/// Containers need none of this: the kernel ends their pid namespace.
namespace locald::runtime {

/// Makes this process the one that orphans fall to. Once, before anything is started.
Result<void> become_subreaper();

/// Reaps ended children that no Child of base/sys/spawn.h owns: shims, what they had started, orphans.
/// For SIGCHLD. False: not all that is there to reap could be told apart; call again soon.
bool reap_orphans();

/// Kills what carries LOCALD_INSTANCE=`nonce` in its environment, with all below it, and
/// children of this process that are neither its own nor shims nor netds: after the death of a shim only
/// its orphans are that. (These are known by name, not by file: an upgrade may have replaced it.)
/// @return how many were found alive: call again until 0. Nullopt: the processes could not be
/// looked at (no descriptor), which is not 0 (R-UNKNOWN).
std::optional<int> sweep(const std::string& nonce);

}  // namespace locald::runtime
