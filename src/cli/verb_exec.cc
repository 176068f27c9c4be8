#include <unistd.h>

#include "cli/attach_client.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

Result<int> exec_verb(Context& context, const Args& args) {
  const bool tty = args.has("tty") && !args.has("no-tty");
  const bool stdin_too = args.has("interactive") || args.has("no-tty");
  const TerminalSize size = terminal_size(STDIN_FILENO).value_or(TerminalSize{24, 80});
  const auto env = command_environment(args.values("env"), tty);
  if (!env) return usage_error(env.error());
  ipc::ExecRequest request{.project = TRY(context.project()),
                           .service = args.argument(0),
                           .argv = args.rest(1),
                           .env = env.value(),
                           .user = args.value("user").value_or(""),
                           .cwd = args.value("workdir").value_or(""),
                           .tty = tty,
                           .open_stdin = stdin_too,
                           .size = {size.rows, size.columns}};
  auto client = TRY(context.connect());
  const auto reply = client.ask(request);
  if (!reply && reply.error().code() == Errc::cancelled) {  // nothing failed: its project is going
    print_error(reply.error());
    return 1;
  }
  const ipc::ExecReply where = TRY(reply);
  return attach(
      {.socket = where.socket, .nonce = where.nonce, .tty = tty, .forward_stdin = stdin_too});
}

Result<int> exec_attach(Context& context, const Args& args) {
  const ipc::AttachRequest request{TRY(context.project()), args.argument(0)};
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(request));
  return attach({.socket = reply.socket,
                 .nonce = reply.nonce,
                 .tty = reply.tty,
                 .forward_stdin = !args.has("no-stdin"),
                 .detach_keys = !args.has("no-stdin"),
                 .ours = false});
}

}  // namespace

const Verb kExec{
    .name = "exec",
    .usage = "[-i] [-t] [-e NAME=VALUE] [-u USER] [-w DIR] SERVICE [--] COMMAND [ARG…]",
    .summary = "run a command beside a running service",
    .details =
        "In a container the command runs in its root, namespaces and limits; beside a host\n"
        "process it runs with that process's environment and folder. The exit code is the\n"
        "command's; 125 if locald failed (1 if the project is going down), 126 not executable,\n"
        "127 not found.\n\n"
        "examples:\n"
        "  locald exec -it db -- psql -U postgres\n"
        "  locald exec web -- printenv PORT\n"
        "  locald exec -i db -- psql -U postgres < dump.sql\n",
    .options = {{'i', "interactive", nullptr, "forward stdin"},
                {'t', "tty", nullptr, "give it a terminal"},
                {'T', "no-tty", nullptr, "no terminal, but stdin: as -i without -t"},
                {'e', "env", "NAME[=VALUE]",
                 "set a variable, or pass it on from here; can be repeated"},
                {'u', "user", "USER[:GROUP]", "run as this user, by name or number"},
                {'w', "workdir", "DIR", "run in this folder"}},
    .min_arguments = 2,
    .verbatim = true,
    .own_failure = 125,
    .run = exec_verb,
};

const Verb kAttach{
    .name = "attach",
    .usage = "[--no-stdin] SERVICE",
    .summary = "connect the terminal to a running service",
    .details =
        "Shows what the service writes from now on and forwards what is typed. Ctrl-p Ctrl-q\n"
        "detaches; the service keeps running. Without a terminal of its own (tty = true) Ctrl-C\n"
        "is sent to the service as SIGINT.\n",
    .options = {{0, "no-stdin", nullptr, "only watch"}},
    .min_arguments = 1,
    .max_arguments = 1,
    .own_failure = 125,
    .run = exec_attach,
};

}  // namespace locald::cli
