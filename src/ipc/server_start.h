#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::ipc {

/// Connects to the server's socket.
/// @return Errc::not_found  no server runs (no socket, or nobody listens)
///         Errc::denied     another user listens there
Result<UniqueFd> connect_server(const std::string& socket);

/// Starts `locald-server run` in a session of its own, its output in
/// server.log, and connects as soon as it listens. What stands in the log's place and is not a file
/// is set aside, which the log says first, and `notice`. Several may do this at once:
/// the server's own lock lets one live, and all connect to that one.
/// @return Errc::timed_out  nobody listens after `patience`
///         Errc::failed     the server ended; the message has the last lines of its log
Result<UniqueFd> start_server(const Paths& paths,
                              const std::function<void(const std::string& text)>& notice = {},
                              std::chrono::milliseconds patience = std::chrono::seconds(20));

/// Where nobody listens: waits for a server that lives and has to write its folders back.
/// @return Errc::not_found  none lives, or it is just starting or ending
///         Errc::timed_out  it has not done so in some seconds
Result<UniqueFd> await_server(const Paths& paths);

/// Whether a server of this very build could be started: its program is there, is ours, and finds
/// what it needs. For those who are about to stop the one that runs.
/// @return what is missing; nothing has been changed.
Result<void> check_own_server();

}  // namespace locald::ipc
