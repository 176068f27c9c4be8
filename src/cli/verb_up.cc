#include "cli/compose_options.h"
#include "cli/context.h"
#include "cli/failures.h"
#include "cli/foreground.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

Result<int> up_verb(Context& context, const Args& args) {
  ipc::UpRequest request{.project = TRY(context.place()),
                         .services = args.arguments(),
                         .world = world(),
                         .env_refresh = args.has("env-refresh"),
                         .low_ports = args.value("low-ports"),
                         .compose = compose_wishes(context, args),
                         .wait = args.has("wait"),
                         .timeout = {}};
  if (const auto timeout = args.value("timeout")) {
    const auto ms = parse_duration_ms("--timeout", *timeout);
    if (!ms) return usage_error(ms.error().message());
    request.timeout = std::chrono::milliseconds(*ms);
  }
  auto client = TRY(context.connect());
  if (!args.has("detach") && !args.has("wait")) return run_in_foreground(context, client, request);
  Progress progress;
  const auto reply = TRY(client.ask(request, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  report_changes(reply);
  return report_up(context, reply);
}

}  // namespace

const Verb kUp{
    .name = "up",
    .usage = "[-d] [--wait] [--timeout DURATION] [--env-refresh] [SERVICE…]",
    .summary = "bring the project up: pull, build, start, follow the logs",
    .details =
        "Starts the named services, or all, with their dependencies. Running it again applies\n"
        "only what changed in the project's file; a service with `once` that has succeeded runs\n"
        "again where it changed or is named, and of a compose file each that has ended. In the\n"
        "foreground it shows all logs and ends when all services have ended (1 if one failed);\n"
        "Ctrl-C stops everything in reverse order, a second Ctrl-C kills.\n\n"
        "The first `up` captures its environment, umask and limits for as long as the project\n"
        "is up: host processes get them, also those that a later `up` starts, from any\n"
        "terminal. ${VAR} in locald.toml is looked up in the environment of this command, then\n"
        "in .env beside the file, then in the captured environment. If a variable that the file\n"
        "uses has another value here than captured, `up` says so, changes nothing and exits\n"
        "with 1. `locald down` forgets the captured environment, and what was said here by\n"
        "--profile, --allow-unsupported, --publish-address and --low-ports: until then that\n"
        "counts for a later `up` too, and for `run`, each until it is said again.\n\n"
        "examples:\n"
        "  locald up                      in the foreground\n"
        "  locald up -d                   until every service has started\n"
        "  locald up --wait --timeout 60s until every service is healthy, a minute at most\n",
    .options = {{'d', "detach", nullptr, "return when every service has started or failed"},
                {0, "wait", nullptr, "return when every service is healthy (no check: started)"},
                {0, "timeout", "DURATION", "give up after this time: 30s, 1m30s"},
                {0, "env-refresh", nullptr,
                 "capture the environment of this command instead of keeping the earlier one"},
                {0, "low-ports", "+N",
                 "publish ports below 1024 at a port N higher, where privileges lack: +8000"},
                {0, "remove-orphans", nullptr,
                 "what `up` does anyway: services that the file has no more are removed"},
                {0, "build", nullptr, "what `up` does anyway: what has changed is built"},
                kProfile,
                kAllowUnsupported,
                kPublishAddress},
    .run = up_verb,
};

}  // namespace locald::cli
