#include <unistd.h>

#include <cerrno>

#include "base/sys/fs_at.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/server.h"
#include "ipc/server_start.h"

namespace locald::cli {
namespace {

Result<int> server_run(Context&, const Args&) {
  const std::string program = TRY(find_own_program("locald-server"));
  ::execl(program.c_str(), program.c_str(), "run", static_cast<char*>(nullptr));
  return Error::from_errno(errno, "execute " + program);
}

Result<int> server_start(Context& context, const Args&) {
  if (auto running = context.connect_running()) {
    notice("the server is running already, pid " + std::to_string(running->server().pid));
    return 0;
  }
  const auto client = TRY(context.connect());
  notice("the server has started, pid " + std::to_string(client.server().pid));
  return 0;
}

/// To stop all: the server that runs, or, where one ended before its services did, a new one that
/// finds them. @return Errc::not_found where nothing runs at all.
Result<ipc::Client> connect_to_stop(Context& context, bool all) {
  auto running = context.connect_running();
  if (running || running.error().code() != Errc::not_found || !all) return running;
  const Paths paths = TRY(context.paths());
  if (names_in(paths.instances()).empty() && names_in(paths.instance_records()).empty())
    return running;
  return context.connect().context(
      "services of an earlier server may still run, and no server starts that could stop them");
}

/// Stops it; what is left running is said.
Result<void> stop(ipc::Client& client, bool all) {
  Progress progress;
  const auto left =
      TRY(client.stop_server(all, [&](const Json& event) { progress.event(event); })).services_left;
  progress.finish();
  notice("the server has stopped" +
         (left > 0 ? "; " + std::to_string(left) +
                         (left == 1 ? " service keeps" : " services keep") + " running"
                   : std::string()));
  return {};
}

Result<int> server_stop(Context& context, const Args& args) {
  auto client = connect_to_stop(context, args.has("all"));
  if (!client && client.error().code() == Errc::not_found) {
    notice("no server is running");
    return 0;
  }
  if (!client) return std::move(client).error();
  TRY(stop(client.value(), args.has("all")));
  return 0;
}

Result<int> server_restart(Context& context, const Args& args) {
  TRY(ipc::check_own_server().context("the server is not restarted"));
  auto client = connect_to_stop(context, args.has("all"));
  if (client)
    TRY(stop(client.value(), args.has("all")));
  else if (client.error().code() != Errc::not_found)
    return std::move(client).error();
  return server_start(context, args);
}

Result<int> server_status(Context& context, const Args& args) {
  auto client = context.connect_running();
  if (!client && client.error().code() == Errc::not_found) {
    if (args.has("json")) return out("null\n") ? 1 : 1;
    notice("no server is running; the next command that needs one starts it");
    return 1;
  }
  if (!client) return std::move(client).error();
  if (args.has("json")) return print_json(TRY(client->call(ipc::ServerStatusRequest{})));
  const auto s = TRY(client->ask(ipc::ServerStatusRequest{}));
  std::string text = "pid       " + std::to_string(s.pid) + "\nversion   " + s.version + " (" +
                     s.build + ")\nup        " + duration_text(s.uptime_s) + "\nprojects  " +
                     std::to_string(s.projects) + "\nservices  " + std::to_string(s.services) +
                     "\njobs      " + std::to_string(s.jobs) + "\ndata      " + s.paths.data +
                     "\nstate     " + s.paths.state + "\nrun       " + s.paths.run + "\n";
  if (s.id_map) text += "ids       " + *s.id_map + "\n";
  return out(text) ? 0 : 1;
}

const Option kAll{0, "all", nullptr, "stop all services first"};

}  // namespace

const Verb kServerRun{
    .name = "server run",
    .usage = "",
    .summary = "run the server in the foreground, its log on stderr",
    .details =
        "Other commands start the server by themselves; this one is for watching the server\n"
        "work, and for service managers.\n",
    .options = {},
    .max_arguments = 0,
    .run = server_run,
};
const Verb kServerStart{
    .name = "server start",
    .usage = "",
    .summary = "start the server, if it is not running",
    .details = "",
    .options = {},
    .max_arguments = 0,
    .run = server_start,
};
const Verb kServerStop{
    .name = "server stop",
    .usage = "[--all]",
    .summary = "stop the server; services keep running",
    .details =
        "Returns when the server is gone. The next command starts a new one, which finds the\n"
        "services again. --all also works if the server has ended already and its services have\n"
        "not.\n",
    .options = {kAll},
    .max_arguments = 0,
    .run = server_stop,
};
const Verb kServerRestart{
    .name = "server restart",
    .usage = "[--all]",
    .summary = "stop and start the server; services keep running",
    .details = "",
    .options = {kAll},
    .max_arguments = 0,
    .run = server_restart,
};
const Verb kServerStatus{
    .name = "server status",
    .usage = "[--json]",
    .summary = "show the server's process, paths and work (1: none is running)",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = server_status,
};

}  // namespace locald::cli
