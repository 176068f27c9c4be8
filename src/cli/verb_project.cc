#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

Result<int> run_check(Context& context, const Args& args) {
  const ipc::ConfigCheckRequest request{TRY(context.project()), environment()};
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call(request));
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  for (const Json& said : reply["notices"].as_array()) {
    const std::string& service = said["service"].as_string();
    err((service.empty() ? "" : service + ": ") + said["text"].as_string() + "\n");
  }
  const auto services = reply["services"].as_strings();
  return out(reply["file"].as_string() + ": fine; project " + reply["project"].as_string() + ", " +
             std::to_string(services.size()) +
             (services.size() == 1 ? " service: " : " services: ") + join(services, ", ") + "\n")
             ? 0
             : 1;
}

Result<int> run_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call(ipc::ProjectListRequest{}));
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  std::vector<std::vector<std::string>> rows;
  for (const Json& project : reply["projects"].as_array()) {
    const Json& running = project["running"];
    const std::string runs = running.is_int()    ? std::to_string(running.as_int())
                             : running.as_bool() ? "yes"
                                                 : "no";
    rows.push_back({project["name"].as_string(), runs, project["dir"].as_string()});
  }
  return out(table({"PROJECT", "RUNNING", "FOLDER"}, rows)) ? 0 : 1;
}

Result<int> run_forget(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  TRY(client.call(ipc::ProjectForgetRequest{args.argument(0)}));
  return 0;
}

}  // namespace

const Verb kConfigCheck{
    .name = "config check",
    .usage = "[--json]",
    .summary = "check locald.toml and change nothing",
    .details =
        "Names every problem with its line: all that `up` would refuse in the file and in the\n"
        "files that it names, in this environment. Exits with 1 if there is one.\n\n"
        "examples:\n"
        "  locald config check\n"
        "  locald -f staging.toml config check\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = run_check,
};
const Verb kProjectLs{
    .name = "project ls",
    .usage = "[--json]",
    .summary = "list the projects that the server knows, with their folders",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = run_ls,
};
const Verb kProjectForget{
    .name = "project forget",
    .usage = "NAME",
    .summary = "free a project's name for another folder",
    .details =
        "A name belongs to the folder that it was first brought up from. This frees the name;\n"
        "the project must be down. Its volumes stay.\n",
    .options = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = run_forget,
};

}  // namespace locald::cli
