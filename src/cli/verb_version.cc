#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/version.h"

namespace locald::cli {
namespace {

Result<int> version_verb(Context& context, const Args& args) {
  std::optional<ipc::VersionReply> server;
  if (auto client = context.connect_running()) server = client->server();
  if (args.has("json"))
    return print_json(Json::object({{"version", ipc::kVersion},
                                    {"build", ipc::kBuild},
                                    {"server", server ? encode(*server) : Json()}}));
  std::string text =
      "locald " + std::string(ipc::kVersion) + " (" + std::string(ipc::kBuild) + ")\n";
  text += server ? "server " + server->version + " (" + server->build + "), pid " +
                       std::to_string(server->pid) + "\n"
                 : "no server is running\n";
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kVersion{
    .name = "version",
    .usage = "[--json]",
    .summary = "print the versions of locald and of the running server",
    .details = "",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = version_verb,
};

}  // namespace locald::cli
