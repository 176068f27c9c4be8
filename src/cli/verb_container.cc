#include <unistd.h>

#include "cli/attach_client.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "ipc/messages/container.h"

namespace locald::cli {
namespace {

Result<int> container_run(Context& context, const Args& args) {
  const bool tty = args.has("tty"), detach = args.has("detach");
  const TerminalSize size = terminal_size(STDIN_FILENO).value_or(TerminalSize{24, 80});
  const auto env = command_environment(args.values("env"), tty);
  if (!env) return usage_error(env.error());
  const std::string pull = args.value("pull").value_or("missing");
  if (pull != "missing" && pull != "always" && pull != "never")
    return usage_error("--pull: \"" + pull + "\" is none of missing, always, never");
  const char* home = ::getenv("HOME");
  ipc::ContainerRunRequest request{.image = TRY(image_name(args.argument(0))),
                                   .argv = args.rest(1),
                                   .entrypoint = args.value("entrypoint"),
                                   .env = env.value(),
                                   .volumes = args.values("volume"),
                                   .tmpfs = args.values("tmpfs"),
                                   .user = args.value("user").value_or(""),
                                   .workdir = args.value("workdir").value_or(""),
                                   .cwd = TRY(working_dir()),
                                   .home = home != nullptr ? home : "",
                                   .tty = tty,
                                   .open_stdin = args.has("interactive"),
                                   .rm = args.has("rm"),
                                   .init = args.has("init"),
                                   .detach = detach,
                                   .pull = pull,
                                   .network = args.value("network").value_or("own"),
                                   .ports = args.values("publish"),
                                   .size = {size.rows, size.columns},
                                   .name = args.value("name").value_or(""),
                                   .login_files = login_files()};
  auto client = TRY(context.connect());
  ipc::ContainerRunReply reply;
  {
    Progress progress;
    reply = TRY(client.ask(request, [&](const Json& event) { progress.event(event); }));
  }
  if (detach && reply.exit_code) {
    print_error(Error(Errc::failed, args.argument(0) + ": " + reply.reason.value_or("")));
    return *reply.exit_code;
  }
  if (detach) return out(reply.id + "\n") ? 0 : 125;
  return attach({.socket = reply.socket.value_or(""),
                 .nonce = reply.nonce.value_or(""),
                 .tty = tty,
                 .forward_stdin = args.has("interactive")});
}

std::string ports_text(const std::vector<ipc::ServicePort>& ports) {
  std::string out;
  for (const ipc::ServicePort& port : ports) out += (out.empty() ? "" : ", ") + port_text(port);
  return out.empty() ? "-" : out;
}

Result<int> container_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(ipc::ContainerListRequest{})));
  const auto reply = TRY(client.ask(ipc::ContainerListRequest{}));
  std::vector<std::vector<std::string>> rows;
  const bool colour = has_colour(STDOUT_FILENO);
  for (const ipc::ContainerStatus& c : reply.containers)
    rows.push_back({c.id, c.image, paint(state_colour(c.state, ""), state_text(c), colour),
                    c.pid ? std::to_string(*c.pid) : "-", ports_text(c.ports),
                    c.name.value_or("-")});
  return out(table({"CONTAINER", "IMAGE", "STATE", "PID", "PORTS", "NAME"}, rows)) ? 0 : 1;
}

Result<int> container_rm(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const auto reply =
      TRY(client.ask(ipc::ContainerRemoveRequest{args.arguments(), args.has("force")}));
  std::string text;
  for (const std::string& id : reply.removed) text += id + "\n";
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kContainerRun{
    .name = "container run",
    .usage = "[OPTION…] IMAGE [--] [COMMAND [ARG…]]",
    .summary = "run one container from an image",
    .details =
        "Options end at IMAGE; the rest is the container's command. The exit code is the\n"
        "process's own; 125 if locald failed, 126 not executable, 127 not found, 128+n ended by\n"
        "signal n.\n\n"
        "Its network is its own (own), the host's (host), a loopback alone (none), or one of a\n"
        "project that is up: without NETWORK the one that services share which name none.\n\n"
        "examples:\n"
        "  locald container run --rm -it debian:12 bash\n"
        "  locald container run --rm -v \"$PWD:/src:ro\" -w /src python:3 python3 -m unittest\n"
        "  locald container run -d --name cache -p 6379:6379 redis:7\n"
        "  locald container run --rm --network shop redis:7 redis-cli -h cache ping\n",
    .options = {{0, "rm", nullptr, "remove the container when it has ended"},
                {'i', "interactive", nullptr, "forward stdin"},
                {'t', "tty", nullptr, "give it a terminal"},
                {'d', "detach", nullptr, "return when it runs, and print its id"},
                {'e', "env", "NAME[=VALUE]",
                 "set a variable, or pass it on from here; can be repeated"},
                {'v', "volume", "SOURCE:DIR[:ro]",
                 "mount a folder (a path) or a named volume; can be repeated"},
                {0, "tmpfs", "DIR[:size=64m]", "mount an empty tmpfs; can be repeated"},
                {'u', "user", "USER[:GROUP]", "run as this user, by name or number"},
                {'w', "workdir", "DIR", "run in this folder of the container"},
                {0, "entrypoint", "PROGRAM", "run this instead of the image's entrypoint"},
                {0, "init", nullptr,
                 "run an init process as PID 1 that forwards signals and reaps zombies"},
                {0, "name", "NAME", "a name for the container, beside its id"},
                {0, "network", "MODE", "own (default), host, none, PROJECT or PROJECT/NETWORK"},
                {'p', "publish", "[PORT:]PORT",
                 "publish a port, as in `ports`, on loopback; can be repeated"},
                {0, "pull", "WHEN", "missing (default), always or never"}},
    .min_arguments = 1,
    .verbatim = true,
    .own_failure = 125,
    .run = container_run,
};
const Verb kContainerLs{
    .name = "container ls",
    .usage = "[--json]",
    .summary = "list the containers of `container run`",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = container_ls,
};
const Verb kContainerRm{
    .name = "container rm",
    .usage = "[--force] ID…",
    .summary = "remove containers",
    .details = "",
    .options = {{'f', "force", nullptr, "stop running containers first"}},
    .min_arguments = 1,
    .run = container_rm,
};

}  // namespace locald::cli
