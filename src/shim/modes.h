#pragma once
#include "shim/spec.h"

namespace locald::shim {

/// Modes (protocol.h); the result is the exit code of locald-shim. They end in the child that they
/// fork, too.
int run_mode();
int probe_mode();
int holder_mode();

/// The first step of `run` and `probe`: close-on-exec for all, /proc of the host, the spec.
/// @param proc  Set to a descriptor (O_PATH) of the caller's.
/// False with a sentence in `why`.
bool read_spec(Spec& spec, int* proc, const char** why);

}  // namespace locald::shim
