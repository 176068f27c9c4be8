#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/strings.h"
#include "base/units.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

constexpr std::chrono::seconds kBetween{1};  ///< two looks, of which processor time is told

/// What a service took between two looks; nothing where it was not there at both.
std::optional<double> cpu_percent(const ipc::StatsReply& before, const ipc::StatsReply& now,
                                  const ipc::ServiceUsage& service) {
  for (const ipc::ServiceUsage& earlier : before.services)
    if (earlier.name == service.name && now.taken_at_ns > before.taken_at_ns &&
        service.cpu_ns >= earlier.cpu_ns)
      return 100.0 * static_cast<double>(service.cpu_ns - earlier.cpu_ns) /
             static_cast<double>(now.taken_at_ns - before.taken_at_ns);
  return std::nullopt;
}

std::string percent_text(std::optional<double> percent) {
  if (!percent) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", *percent);
  return text;
}

std::string bytes_text(std::optional<std::uint64_t> bytes) {
  return bytes ? human_bytes(*bytes) : "-";
}

std::string stats_table(const ipc::StatsReply& before, const ipc::StatsReply& now) {
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ServiceUsage& service : now.services)
    rows.push_back({service.name, percent_text(cpu_percent(before, now, service)),
                    human_bytes(service.memory), std::to_string(service.tasks),
                    bytes_text(service.read), bytes_text(service.written)});
  return table({"SERVICE", "CPU", "MEMORY", "TASKS", "READ", "WRITTEN"}, rows);
}

std::string stats_line(const ipc::StatsReply& before, const ipc::StatsReply& now) {
  Json services = Json::array();
  for (const ipc::ServiceUsage& service : now.services) {
    Json one = encode(service);
    const auto percent = cpu_percent(before, now, service);
    one.set("cpu_percent", percent ? Json(*percent) : Json());
    services.push(std::move(one));
  }
  return Json::object({{"services", std::move(services)}}).dump() + "\n";
}

Result<int> stats_verb(Context& context, const Args& args) {
  const ipc::StatsRequest request{TRY(context.project()), args.arguments()};
  const bool follow = args.has("follow"), json = args.has("json");
  const bool screen = follow && !json && is_terminal(STDOUT_FILENO);
  auto client = TRY(context.connect());
  ipc::StatsReply before = TRY(client.ask(request));
  do {
    std::this_thread::sleep_for(kBetween);
    ipc::StatsReply now = TRY(client.ask(request));
    std::string text = json ? stats_line(before, now) : stats_table(before, now);
    if (screen) {  // each table in place of the one before it
      std::string cut = "\033[H\033[J";
      for (const std::string& line : split(text, '\n'))
        if (!line.empty()) cut += cut_to(line, output_width()) + "\n";
      text = std::move(cut);
    }
    if (!out(text)) return follow ? 0 : 1;
    before = std::move(now);
  } while (follow);
  return 0;
}

}  // namespace

const Verb kStats{
    .name = "stats",
    .usage = "[-f] [--json] [SERVICE…]",
    .summary = "show what services take: processor, memory, processes, disk",
    .details =
        "Looks twice, a second apart: CPU is what was used in between, 100 % is one processor.\n"
        "Numbers come from the service's cgroup where it has one, else from its processes: memory\n"
        "is then resident memory, and what processes share counts for each. READ and WRITTEN are\n"
        "bytes from and to devices since the service's start; - is not known.\n\n"
        "examples:\n"
        "  locald stats\n"
        "  locald stats -f web worker\n"
        "  locald stats --json | jq '.services[] | {name, memory}'\n",
    .options = {{'f', "follow", nullptr, "again each second, until Ctrl-C"},
                {0, "json", nullptr, "as JSON, one line each time"}},
    .run = stats_verb,
};

}  // namespace locald::cli
