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
/// what while something is going is a table: server/instances/admission.h. A project that is going down: `up`
/// waits for it (hanging up then calls it off, and so does another `down`), `start`, `restart` and
/// `exec` are refused, `stop` and `down` end with it.
///
/// Every reply carries the headers Locald-Version and Locald-Build. A client that
/// hangs up in the middle of a stream stops nothing, unless the request says so below.
///
/// `project` in a request: {"dir": ABSOLUTE, "file": ABSOLUTE|null, "name": NAME|null}: the
/// folder from which locald.toml is looked for upward (-C), the file itself (-f), the name that
/// overrides the file's (-p, LOCALD_PROJECT).
///
/// `world` is {"env": {}, "umask": N, "rlimits": {NAME: [SOFT, HARD]}, `logins`} of whoever asks;
/// `logins` is {"login_files": [ABSOLUTE]}, where their logins for registries are: the server reads
/// them when it needs one.
///
///     version         {}                       -> {version, build, pid, jobs}
///     server/status   {}                       -> {pid, version, build, uptime_s, projects, services,
///                                                 containers, jobs, paths{data,state,run}, id_map}
///     server/stop     {all: bool}              -> stream; {services_left: N}; then the process ends
///     doctor          {}                       -> {checks:[{name, status: ok|warn|fail, message, hint}]}
///
///     up              {project, services:[], world…, env_refresh: bool, wait: bool, timeout_ms|null}
///                         -> stream; {project, services:[…status…], failed:[names], reasons:{},
///                            changes:{name: "started"|"unchanged"|"recreated: KEYS"}};
///                            `result` comes when every service has started or failed (wait: is
///                            healthy). Apps that run are built first, and go on meanwhile.
///     down            {project, volumes: bool} -> stream; {}
///     start|stop|restart  {project, services:[…], timeout_ms|null}  -> stream; as `up`
///     kill            {project}                -> {}: a second Ctrl-C: everything is killed at once
///     status          {project} | {all: true}  -> {project, services:[…]} |
///                                                 {projects:[{project, dir, services}]};
///                         each service as `status` has it, with `network`, and for kind cnb `app`
///                         {name, path, process, generation, built_at, live:[folders]}
///     watch           {project}                -> stream of state events, first the present ones;
///                                                 {} when the project is down. No polling.
///     logs            {project, services:[]}   -> {services:[{name, dir, first_segment}]}: the CLI
///                         reads the segments itself (base/log/log_format.h); first_segment: of the
///                         present run
///     config/check    {project, env:{}}        -> {project, services:[names], file,
///                         notices:[{service, text}]}, or the error that `up` would end with,
///                         with every problem in `problems:[{file, line, column, message, hint}]`
///     project/ls      {}                       -> {projects:[{name, dir, running}]}
///     project/forget  {name}                   -> {}
///
///     exec            {project, service, argv, env:{}, user, cwd, tty, stdin, rows, columns}
///                         -> {socket, nonce}: attach there (base/log/attach_protocol.h, with `hold`)
///     attach          {project, service}       -> {socket, nonce, tty}
///     container/run   {image, argv, entrypoint|null, env:{}, volumes:[], tmpfs:[], home|null,
///                      user, cwd, workdir, tty, stdin, rm, init, detach, pull, network, rows,
///                      columns, name|null, logins…}
///                         -> stream; {id, socket, nonce}; detached: when it runs, or
///                            {id, exit_code, reason} where it never did
///     container/ls    {}                       -> {containers:[{id, image, state, pid, started_at,
///                                                 exit_code, …}]}
///     container/rm    {ids:[], force}          -> {removed:[…]}
///
///     image/pull      {image, policy, logins…} -> stream; {name, digest, size}; hanging up cancels
///     image/ls        {}                       -> {images:[{name, digest, size, created, layers}]}
///     image/rm        {images:[…]}             -> {removed:[…], freed_bytes}
///     image/unpack    {image, dir}             -> stream; {digest, entries, warnings:[]}; hanging up
///                                                 cancels
///
///     image/export    {image, target, cwd}     -> stream; {target, digest, …}
///     image/push      {image, target|absent, cwd, logins…}
///                         -> stream; {name, digest, uploaded, uploaded_bytes, mounted, there_before}
///     image/rebase    {image, run_image|absent, force: bool, policy, cwd, logins…}
///                         -> stream; {name, digest, changed: bool, run_image, run_image_digest}
///
///     build           {project, services:[], world…} | {app: AppSpec (cnb/app.h)}, and
///                     {again: bool, strict: bool, pull: ""|"always", output: ""|oci:…, tags:[],
///                     logins…}
///                         -> stream; {apps:[{app, path, services, built: bool, reason|null,
///                            generation, built_at, strict, builder, builder_digest, run_image,
///                            run_image_digest, platform_api, lifecycle, buildpacks:[{id, version}],
///                            processes:[{type, default, command, args, direct, buildpack}],
///                            times{phases:[{name, ms}], buildpacks:[{name, ms}], total_ms},
///                            image{name, digest, id, size}|null (where one was asked for),
///                            notices}]}, or the error, with `build` {phase, exit_code|null,
///                            buildpack|null, detect:[{group, buildpack, result, note, output}],
///                            tail:[lines], log} where it had begun: `phase` is one of the
///                            lifecycle's (analyze, detect, restore, build, export) or of ours
///                            (stage, restore, commit), which have no exit code; hanging up cancels
///     build/logs      {project, services:[], world…} | {path}, and {all: bool}
///                                              -> {logs:[{name, dir}]}, newest first
///     cache/ls        {}                       -> {caches:[{app, project, path, builder, bytes,
///                                                 generations, last_used, in_use}]}
///     cache/rm        {apps:[…]}               -> {removed:[…]}
///     cache/prune     {unused_ms}              -> {removed:[…as cache/ls…]}
///
/// Environments go one way only: they are in no reply.
// clang-format on
namespace locald::ipc {

inline constexpr std::string_view kVersionHeader = "Locald-Version";
inline constexpr std::string_view kBuildHeader = "Locald-Build";
inline constexpr std::size_t kMaxBody = 8u << 20;  ///< bytes; a longer request is refused (413)

}  // namespace locald::ipc
