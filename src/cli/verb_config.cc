#include "base/strings.h"
#include "cli/compose_options.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

Result<int> config_check(Context& context, const Args& args) {
  const ipc::ConfigCheckRequest request{TRY(context.place()), environment(),
                                        compose_wishes(context, args)};
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

Result<int> config_schema(Context& context, const Args&) {
  auto client = TRY(context.connect());
  return out(TRY(client.ask(ipc::ConfigSchemaRequest{})).schema.dump(/*pretty=*/true) + "\n") ? 0
                                                                                              : 1;
}

}  // namespace

const Verb kConfigCheck{
    .name = "config check",
    .usage = "[--json]",
    .summary = "check the project's file and change nothing",
    .details =
        "Names every problem with its line: all that `up` would refuse in the file and in the\n"
        "files that it names, in this environment. Exits with 1 if there is one.\n\n"
        "examples:\n"
        "  locald config check\n"
        "  locald -f staging.toml config check\n",
    .options = {{0, "json", nullptr, "as JSON"}, kProfile, kAllowUnsupported, kPublishAddress},
    .max_arguments = 0,
    .run = config_check,
};
const Verb kConfigSchema{
    .name = "config schema",
    .usage = "",
    .summary = "print the JSON Schema of locald.toml, for editors",
    .details =
        "Draft 7, as taplo and Even Better TOML (VS Code) read it. They use it where the first\n"
        "line of the file names it: #:schema ./locald.schema.json\n\n"
        "examples:\n"
        "  locald config schema > locald.schema.json\n",
    .options = {},
    .max_arguments = 0,
    .run = config_schema,
};

}  // namespace locald::cli
