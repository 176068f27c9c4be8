#pragma once
#include <sys/types.h>

#include "shim/spec.h"
#include "shim/text.h"

namespace locald::shim {

/// Starts the host process of `spec` with the given stdio in a session of its own; it dies with its
/// parent.
/// @return its pid, or -1 with a sentence in `why` and 125 (our failure), 126 (cannot be executed)
/// or 127 (not found).
pid_t spawn_host(const Spec& spec, const int child[3], Text& why, int* code);

/// Starts runc with `argv` and the given stdio, an environment of PATH alone and the folder /.
/// @param report  Becomes kInitReportFd; -1: none.
pid_t spawn_runc(const char* const* argv, const int child[3], int report);

/// What `run` and `probe` begin with: close-on-exec for all, /proc of the host, the spec.
/// False with a sentence in `why`.
bool read_spec(Spec& spec, int* proc, const char** why);

/// Joins what the spec says (user namespace; namespaces of the target's shim), then makes the pid
/// namespace of a container. The caller forks next. False with a sentence in `why`.
bool join_namespaces(const Spec& spec, Text& why);

}  // namespace locald::shim
