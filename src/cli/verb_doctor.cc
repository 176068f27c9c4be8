#include <unistd.h>

#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/server.h"

namespace locald::cli {
namespace {

/// The checks of the server, or the one that says why there is none.
Json checks(Context& context) {
  auto client = context.connect();
  auto reply =
      client ? client->call(ipc::DoctorRequest{}) : Result<Json>(std::move(client).error());
  if (reply) return (*reply)["checks"];
  return Json::array({Json::object({{"name", "server"},
                                    {"status", "fail"},
                                    {"message", reply.error().message()},
                                    {"hint", reply.error().hint()}})});
}

Result<int> run(Context& context, const Args& args) {
  const Json list = checks(context);
  bool failed = false;
  std::string text;
  const bool colour = has_colour(STDOUT_FILENO);
  // Less what stands before the first line.
  const auto width = output_width() - (is_terminal(STDOUT_FILENO) ? 6 : 0);
  for (const Json& check : list.as_array()) {
    const std::string& status = check["status"].as_string();
    failed = failed || status == "fail";
    const Colour shade = status == "ok"     ? Colour::green
                         : status == "warn" ? Colour::yellow
                                            : Colour::red;
    std::string line = check["name"].as_string();
    if (const std::string& message = check["message"].as_string(); !message.empty())
      line += ": " + message;
    if (const std::string& hint = check["hint"].as_string(); !hint.empty())
      line += "\nhint: " + hint;
    line = wrapped(line, width, 6);
    text += paint(shade, status, colour) +
            std::string(6 - std::min<std::size_t>(status.size(), 5), ' ') + line;
  }
  if (args.has("json")) text = Json::object({{"checks", list}}).dump(/*pretty=*/true) + "\n";
  return out(text) && !failed ? 0 : 1;
}

}  // namespace

const Verb kDoctor{
    .name = "doctor",
    .usage = "[--json]",
    .summary = "check what locald needs on this machine, with a remedy for each problem",
    .details =
        "Exits with 1 if something that locald needs is missing, with 0 if there are only\n"
        "warnings.\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .max_arguments = 0,
    .run = run,
};

}  // namespace locald::cli
