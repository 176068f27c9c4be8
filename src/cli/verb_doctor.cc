#include <unistd.h>

#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/server.h"

namespace locald::cli {
namespace {

/// The checks of the server, or the one that says why there is none.
ipc::DoctorReply checks(Context& context) {
  auto client = context.connect();
  auto reply = client ? client->ask(ipc::DoctorRequest{})
                      : Result<ipc::DoctorReply>(std::move(client).error());
  if (reply) return std::move(*reply);
  return {{{"server", "fail", reply.error().message(), reply.error().hint()}}};
}

Result<int> doctor_verb(Context& context, const Args& args) {
  const ipc::DoctorReply reply = checks(context);
  bool failed = false;
  std::string text;
  const bool colour = has_colour(STDOUT_FILENO);
  // Less what stands before the first line.
  const auto width = output_width() - (is_terminal(STDOUT_FILENO) ? 6 : 0);
  for (const ipc::DoctorCheck& check : reply.checks) {
    const std::string& status = check.status;
    failed = failed || status == "fail";
    const Colour shade = status == "ok"     ? Colour::green
                         : status == "warn" ? Colour::yellow
                                            : Colour::red;
    std::string line = check.name;
    if (!check.message.empty()) line += ": " + check.message;
    if (!check.hint.empty()) line += "\nhint: " + check.hint;
    line = wrapped(line, width, 6);
    text += paint(shade, status, colour) +
            std::string(6 - std::min<std::size_t>(status.size(), 5), ' ') + line;
  }
  if (args.has("json")) text = encode(reply).dump(/*pretty=*/true) + "\n";
  return out(text) && !failed ? 0 : 1;
}

}  // namespace

const Verb kDoctor{
    .name = "doctor",
    .usage = "[--json]",
    .summary = "check what locald needs here, with a remedy for each problem",
    .details =
        "Exits with 1 if something that locald needs is missing, with 0 if there are only\n"
        "warnings.\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = doctor_verb,
};

}  // namespace locald::cli
