#pragma once
#include <cstdint>
#include <string_view>

// The table is laid out by hand.
// clang-format off
/// What the CLI and the server say to each other: HTTP/1.1 over the unix socket
/// RUN/server.sock (0600; the server compares the peer's uid and namespaces with
/// its own). Every request is `POST /v1/NAME` with one JSON object as its body.
///
/// A reply is either one JSON object (application/json):
///
///     {"result": …}    or    {"error": {"code": "not_found", "message": "…", "hint": "…"}}
///
/// or, for what takes time, a stream of lines (application/x-ndjson, chunked),
/// each a JSON object; events first, then exactly one result or error:
///
///     {"event": "progress", "service": "db", "phase": "pull", "item": "3f2a…", "done": 104857,
///                           "total": 900000}
///     {"event": "state", "service": {…as in `status`…}}
///     {"event": "notice", "service": "db", "text": "2 device files were left out: …"}
///     {"result": {…}}
///
/// Every request has exactly one end (R-ONE-END): where what it is about goes (its project is
/// brought down, its container removed, the server stopped), that is an error which names it. Where
/// too many requests are under way a new one is answered with HTTP status 503. Which request meets
/// what while something is going is a table: server/admission.h. A project that is going down: `up`
/// waits for it (hanging up then calls it off, and so does another `down`), `start`, `restart` and
/// `exec` are refused, `stop` and `down` end with it.
///
/// Every reply carries the headers Locald-Version and Locald-Build. A client that
/// hangs up in the middle of a stream stops nothing, unless the request says so below.
///
/// What each request is called, has and is answered with: ipc/messages, whose tables are also the
/// page docs/api.md. Requests are read strictly, those of a client of another build tolerantly
/// (Locald-Build in the request): what it has more is passed over. `version` and `server/stop`
/// always are, and keep their form for ever.
///
/// An error may have more members: `problems` [{file, line, column, message, hint}] where a project
/// file is wrong; `build` {phase, exit_code|null, buildpack|null, detect:[{group, buildpack, result,
/// note, output}], tail:[lines], log} where a build had begun: `phase` is one of the lifecycle's
/// (analyze, detect, restore, build, export) or of ours (stage, restore, commit), which have no
/// exit code.
///
/// Environments go one way only: they are in no reply.
// clang-format on
namespace locald::ipc {

inline constexpr std::string_view kVersionHeader = "Locald-Version";
inline constexpr std::string_view kBuildHeader = "Locald-Build";
inline constexpr std::size_t kMaxBody = 8u << 20;  ///< bytes; a longer request is refused (413)

}  // namespace locald::ipc
