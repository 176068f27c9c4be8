#pragma once
#include "base/result.h"

namespace locald::server {

/// Answers only our own user, from our own namespaces (R-OWNER): the uid of
/// the peer is ours, and its user and pid namespaces are the same as this
/// process's, so that a process in a container that has the run folder mounted
/// is refused although it may have our uid.
/// @return Errc::denied saying what differs.
Result<void> check_peer(int socket);

}  // namespace locald::server
