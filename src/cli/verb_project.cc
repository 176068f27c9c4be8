#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

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
