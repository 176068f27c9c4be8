#pragma once
#include <chrono>

#include "base/paths.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace locald::ipc {

/// Connects to the server's socket.
/// @return Errc::not_found  no server runs (no socket, or nobody listens)
///         Errc::denied     another user listens there
Result<UniqueFd> connect_server(const std::string& socket);

/// Starts `locald-server run` in a session of its own, its output in
/// server.log, and connects as soon as it listens. Several may do this at once:
/// the server's own lock lets one live, and all connect to that one.
/// @return Errc::timed_out  nobody listens after `patience`
///         Errc::failed     the server ended; the message has the last lines of its log
Result<UniqueFd> start_server(const Paths& paths,
                              std::chrono::milliseconds patience = std::chrono::seconds(20));

}  // namespace locald::ipc
