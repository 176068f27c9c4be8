#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

Result<int> project_check(Context& context, const Args& args) {
  const ipc::ConfigCheckRequest request{TRY(context.project()), environment()};
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(request)));
  const auto reply = TRY(client.ask(request));
  for (const ipc::ServiceNotice& said : reply.notices)
    err((said.service.empty() ? "" : said.service + ": ") + said.text + "\n");
  return out(reply.file + ": fine; project " + reply.project + ", " +
             std::to_string(reply.services.size()) +
             (reply.services.size() == 1 ? " service: " : " services: ") +
             join(reply.services, ", ") + "\n")
             ? 0
             : 1;
}

Result<int> project_ls(Context& context, const Args& args) {
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(ipc::ProjectListRequest{})));
  const auto reply = TRY(client.ask(ipc::ProjectListRequest{}));
  std::vector<std::vector<std::string>> rows;
  for (const ipc::KnownProject& project : reply.projects)
    rows.push_back({project.name, project.running ? "yes" : "no", project.dir});
  return out(table({"PROJECT", "RUNNING", "FOLDER"}, rows)) ? 0 : 1;
}

Result<int> project_forget(Context& context, const Args& args) {
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
    .run = project_check,
};
const Verb kProjectLs{
    .name = "project ls",
    .usage = "[--json]",
    .summary = "list the projects that the server knows, with their folders",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = project_ls,
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
    .run = project_forget,
};

}  // namespace locald::cli
