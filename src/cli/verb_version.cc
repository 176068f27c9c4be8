#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/version.h"

namespace locald::cli {
namespace {

Result<int> version_verb(Context& context, const Args& args) {
  Json server;
  if (auto client = context.connect_running()) server = client->server();
  if (args.has("json")) {
    const Json all =
        Json::object({{"version", ipc::kVersion}, {"build", ipc::kBuild}, {"server", server}});
    return out(all.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  }
  std::string text =
      "locald " + std::string(ipc::kVersion) + " (" + std::string(ipc::kBuild) + ")\n";
  text += server.is_null()
              ? "no server is running\n"
              : "server " + server["version"].as_string() + " (" + server["build"].as_string() +
                    "), pid " + std::to_string(server["pid"].as_int()) + "\n";
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
