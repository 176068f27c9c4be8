#include "cli/context.h"
#include "cli/failures.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

/// Sends a request whose stream is shown as progress.
template <class R>
Result<typename R::Reply> ask_with_progress(Context& context, const R& request) {
  auto client = TRY(context.connect());
  Progress progress;
  return client.ask(request, [&](const Json& event) { progress.event(event); });
}

Result<int> services_down(Context& context, const Args& args) {
  TRY(ask_with_progress(context, ipc::DownRequest{TRY(context.project()), args.has("volumes")}));
  return 0;
}

/// @param report  Says how it went, and has the exit code.
template <class R>
Result<int> run_on_services(Context& context, const Args& args,
                            int (*report)(Context&, const ipc::UpReply& reply)) {
  R request{TRY(context.project()), args.arguments(), {}};
  if (const auto timeout = args.value("timeout")) {
    const auto ms = parse_duration_ms("--timeout", *timeout);
    if (!ms) return usage_error(ms.error().message());
    request.timeout = std::chrono::milliseconds(*ms);
  }
  return report(context, TRY(ask_with_progress(context, request)));
}

int report_stop(Context&, const ipc::UpReply& reply) {
  for (const auto& [service, why] : reply.reasons)
    print_error(Error(Errc::failed, service + ": " + why));
  if (!reply.reasons.empty()) return 1;
  for (const ipc::ServiceStatus& service : reply.services)
    if (service.state == "failed" || service.state == "crash-loop") return 1;
  return 0;
}

Result<int> services_start(Context& context, const Args& args) {
  return run_on_services<ipc::StartRequest>(context, args, report_up);
}
Result<int> services_stop(Context& context, const Args& args) {
  return run_on_services<ipc::StopRequest>(context, args, report_stop);
}
Result<int> services_restart(Context& context, const Args& args) {
  return run_on_services<ipc::RestartRequest>(context, args, report_up);
}

const Option kTimeout{0, "timeout", "DURATION", "give up after this time: 30s, 1m30s"};

}  // namespace

const Verb kDown{
    .name = "down",
    .usage = "[--volumes]",
    .summary = "stop and remove the project's services",
    .details =
        "Stops in reverse order of dependency and returns when nothing is left: no process, no\n"
        "mount, no port held. Named volumes stay, unless --volumes is given. While a project\n"
        "goes down `up` waits for it; start, restart and exec are refused.\n\n"
        "examples:\n"
        "  locald down\n"
        "  locald down --volumes      the data too\n",
    .options = {{'v', "volumes", nullptr, "remove the project's volumes and their data"},
                {0, "remove-orphans", nullptr,
                 "what `down` does anyway: services that the file has no more end too"}},
    .max_arguments = 0,
    .run = services_down,
};

const Verb kStart{
    .name = "start",
    .usage = "[--timeout DURATION] SERVICE…",
    .summary = "start services that were stopped",
    .details =
        "What they depend on is started first. The project must be up.\n\n"
        "examples:\n"
        "  locald start web\n",
    .options = {kTimeout},
    .min_arguments = 1,
    .run = services_start,
};

const Verb kStop{
    .name = "stop",
    .usage = "[--timeout DURATION] SERVICE…",
    .summary = "stop services, with all their descendants",
    .details =
        "Sends the service's stop signal, waits for its stop_timeout, then kills all that is "
        "left.\n"
        "A stopped service stays stopped until start, restart or up.\n\n"
        "examples:\n"
        "  locald stop web worker\n",
    .options = {kTimeout},
    .min_arguments = 1,
    .run = services_stop,
};

const Verb kRestart{
    .name = "restart",
    .usage = "[--timeout DURATION] [SERVICE…]",
    .summary = "stop and start services",
    .details =
        "Without names all services of the project, but those with `once` that have succeeded:\n"
        "they stop together, and start again in the order of their dependencies.\n\n"
        "examples:\n"
        "  locald restart web\n"
        "  locald restart\n",
    .options = {kTimeout},
    .run = services_restart,
};

}  // namespace locald::cli
