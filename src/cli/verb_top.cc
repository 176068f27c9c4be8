#include <cstdio>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/look.h"

namespace locald::cli {
namespace {

/// "0.04s", "12.3s", "5m", "2h13m".
std::string cpu_text(std::uint64_t ns) {
  const double seconds = static_cast<double>(ns) / 1e9;
  if (seconds >= 60) return duration_text(static_cast<std::int64_t>(seconds));
  char text[32];
  std::snprintf(text, sizeof text, seconds < 10 ? "%.2fs" : "%.1fs", seconds);
  return text;
}

Result<int> top_verb(Context& context, const Args& args) {
  const ipc::TopRequest request{TRY(context.project()), args.argument(0)};
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(request)));
  const auto reply = TRY(client.ask(request));
  bool inside = false;
  for (const ipc::ServiceProcess& process : reply.processes)
    inside = inside || process.pid_inside.has_value();
  std::vector<std::string> headings{"PID", "PARENT", "USER", "STATE", "CPU", "MEMORY", "UP"};
  if (inside) headings.insert(headings.begin() + 1, "INSIDE");
  headings.emplace_back("COMMAND");
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ServiceProcess& process : reply.processes) {
    std::vector<std::string> row{std::to_string(process.pid),
                                 std::to_string(process.parent),
                                 process.user,
                                 process.state,
                                 cpu_text(process.cpu_ns),
                                 human_bytes(process.memory),
                                 duration_text(process.up_s)};
    if (inside)
      row.insert(row.begin() + 1, process.pid_inside ? std::to_string(*process.pid_inside) : "-");
    row.push_back(harmless(process.command));
    rows.push_back(std::move(row));
  }
  std::string text;
  for (const std::string& line : split(table(headings, rows), '\n'))
    if (!line.empty()) text += cut_to(line, output_width()) + "\n";
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kTop{
    .name = "top",
    .usage = "[--json] SERVICE",
    .summary = "list the processes of a service",
    .details =
        "PID and PARENT are numbers of the host, INSIDE is the number that a process has in its\n"
        "container; USER is a number of the container's there. CPU is processor time since the\n"
        "start of the process, MEMORY what is resident. `locald stats` has the sums.\n\n"
        "examples:\n"
        "  locald top web\n"
        "  locald top db --json | jq '.processes[].command'\n",
    .options = {{0, "json", nullptr, "as JSON"}},
    .min_arguments = 1,
    .max_arguments = 1,
    .run = top_verb,
};

}  // namespace locald::cli
