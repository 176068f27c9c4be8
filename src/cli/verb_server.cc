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

Result<int> run_server(Context&, const Args&) {
  const std::string program = TRY(find_own_program("locald-server"));
  ::execl(program.c_str(), program.c_str(), "run", static_cast<char*>(nullptr));
  return Error::from_errno(errno, "execute " + program);
}

Result<int> run_start(Context& context, const Args&) {
  if (auto running = context.connect_running()) {
    notice("the server is running already, pid " +
           std::to_string(running->server()["pid"].as_int()));
    return 0;
  }
  const auto client = TRY(context.connect());
  notice("the server has started, pid " + std::to_string(client.server()["pid"].as_int()));
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
  const Json reply =
      TRY(client.stop_server(all, [&](const Json& event) { progress.event(event); }));
  progress.finish();
  const auto left = reply["services_left"].as_int();
  notice("the server has stopped" +
         (left > 0 ? "; " + std::to_string(left) +
                         (left == 1 ? " service keeps" : " services keep") + " running"
                   : std::string()));
  return {};
}

Result<int> run_stop(Context& context, const Args& args) {
  auto client = connect_to_stop(context, args.has("all"));
  if (!client && client.error().code() == Errc::not_found) {
    notice("no server is running");
    return 0;
  }
  if (!client) return std::move(client).error();
  TRY(stop(client.value(), args.has("all")));
  return 0;
}

Result<int> run_restart(Context& context, const Args& args) {
  TRY(ipc::check_own_server().context("the server is not restarted"));
  auto client = connect_to_stop(context, args.has("all"));
  if (client)
    TRY(stop(client.value(), args.has("all")));
  else if (client.error().code() != Errc::not_found)
    return std::move(client).error();
  return run_start(context, args);
}

Result<int> run_status(Context& context, const Args& args) {
  auto client = context.connect_running();
  if (!client && client.error().code() == Errc::not_found) {
    if (args.has("json")) return out("null\n") ? 1 : 1;
    notice("no server is running; the next command that needs one starts it");
    return 1;
  }
  if (!client) return std::move(client).error();
  const Json s = TRY(client->call(ipc::ServerStatusRequest{}));
  if (args.has("json")) return out(s.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  const auto number = [&](const char* key) { return std::to_string(s[key].as_int()); };
  std::string text = "pid       " + number("pid") + "\nversion   " + s["version"].as_string() +
                     " (" + s["build"].as_string() + ")\nup        " +
                     duration_text(s["uptime_s"].as_int()) + "\nprojects  " + number("projects") +
                     "\nservices  " + number("services") + "\njobs      " + number("jobs") + "\n";
  for (const auto& [name, path] : s["paths"].as_object())
    text += name + std::string(10 - std::min<std::size_t>(name.size(), 9), ' ') + path.as_string() +
            "\n";
  if (s["id_map"].is_string()) text += "ids       " + s["id_map"].as_string() + "\n";
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
    .run = run_server,
};
const Verb kServerStart{
    .name = "server start",
    .usage = "",
    .summary = "start the server, if it is not running",
    .details = "",
    .options = {},
    .max_arguments = 0,
    .run = run_start,
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
    .run = run_stop,
};
const Verb kServerRestart{
    .name = "server restart",
    .usage = "[--all]",
    .summary = "stop and start the server; services keep running",
    .details = "",
    .options = {kAll},
    .max_arguments = 0,
    .run = run_restart,
};
const Verb kServerStatus{
    .name = "server status",
    .usage = "[--json]",
    .summary = "show the server's process, paths and work (1: none is running)",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = run_status,
};

}  // namespace locald::cli
