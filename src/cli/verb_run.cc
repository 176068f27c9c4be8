#include <unistd.h>

#include "cli/attach_client.h"
#include "cli/compose_options.h"
#include "cli/context.h"
#include "cli/failures.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

/// Brings up what the service depends on. @return whether all of it is ready
Result<bool> bring_up_dependencies(Context& context, const ipc::ProjectPlace& project,
                                   const Args& args) {
  const ipc::UpRequest request{.project = project,
                               .services = {args.argument(0)},
                               .world = world(),
                               .low_ports = {},
                               .compose = compose_wishes(context, args),
                               .wait = true,
                               .dependencies = true,
                               .timeout = {}};
  auto client = TRY(context.connect());
  Progress progress;
  const auto reply = TRY(client.ask(request, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  return report_up(context, reply) == 0;
}

Result<int> run_verb(Context& context, const Args& args) {
  const bool tty = !args.has("no-tty") && is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
  const TerminalSize size = terminal_size(STDIN_FILENO).value_or(TerminalSize{24, 80});
  const auto env = command_environment(args.values("env"), tty);
  if (!env) return usage_error(env.error());
  ipc::RunRequest request{.project = TRY(context.project()),
                          .service = args.argument(0),
                          .argv = args.rest(1),
                          .env = env.value(),
                          .user = args.value("user").value_or(""),
                          .cwd = args.value("workdir").value_or(""),
                          .tty = tty,
                          .open_stdin = true,
                          .size = {size.rows, size.columns}};
  if (!TRY(bring_up_dependencies(context, TRY(context.place()), args))) return 125;
  auto client = TRY(context.connect());
  ipc::ExecReply where;
  {
    Progress progress;
    where = TRY(client.ask(request, [&](const Json& event) { progress.event(event); }));
  }
  return attach({.socket = where.socket, .nonce = where.nonce, .tty = tty, .forward_stdin = true});
}

}  // namespace

const Verb kRun{
    .name = "run",
    .usage = "[-T] [-e NAME=VALUE] [-u USER] [-w DIR] SERVICE [--] [COMMAND [ARG…]]",
    .summary = "run a command once, as a service would run",
    .details =
        "A process of its own, or a container of its own, with the service's image, environment,\n"
        "mounts and networks, while the service runs or not. What it depends on is brought up\n"
        "first, and stays up. Without COMMAND it runs what the service runs. It publishes no\n"
        "port, and what it wrote outside of volumes is removed with its end. At a terminal it\n"
        "gets one. The exit code is the command's; 125 if locald failed, 126 not executable,\n"
        "127 not found, 128+n ended by signal n.\n\n"
        "examples:\n"
        "  locald run web -- npm run migrate\n"
        "  locald run db -- psql -h db -U postgres shop\n"
        "  locald run -T -e LOG=debug worker < jobs.json\n",
    .options = {{'T', "no-tty", nullptr, "no terminal, also at one"},
                {0, "rm", nullptr, "what `run` does anyway: nothing is left of it"},
                {'e', "env", "NAME[=VALUE]",
                 "set a variable, or pass it on from here; can be repeated"},
                {'u', "user", "USER[:GROUP]", "run as this user, by name or number"},
                {'w', "workdir", "DIR", "run in this folder"},
                kProfile,
                kAllowUnsupported,
                kPublishAddress},
    .min_arguments = 1,
    .verbatim = true,
    .own_failure = 125,
    .run = run_verb,
};

}  // namespace locald::cli
