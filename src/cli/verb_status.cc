#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

/// `started_at` as seconds since 1970: a number, or RFC 3339 text.
std::int64_t started(const Json& at) {
  if (at.is_number()) return static_cast<std::int64_t>(at.as_double());
  if (!at.is_string()) return 0;
  const auto ns = parse_since_ns(at.as_string(), now_ns());
  return ns ? static_cast<std::int64_t>(*ns / 1'000'000'000) : 0;
}

std::string number_or_dash(const Json& value) {
  return value.is_int() ? std::to_string(value.as_int()) : "-";
}

/// One line of a bearable length: the whole text is in --json.
std::string short_state(const Json& service) {
  constexpr std::size_t kMax = 100;  // bytes
  std::string text = state_text(service);
  text.resize(std::min(text.size(), text.find('\n')));
  if (text.size() <= kMax) return text;
  text.resize(kMax);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
  return text + "…";
}

std::vector<std::string> row(const Json& service, bool colour) {
  const std::string& state = service["state"].as_string();
  const auto since = started(service["started_at"]);
  const bool runs = state == "running" || state == "starting" || state == "stopping";
  std::string where =
      service["url"].is_string() ? service["url"].as_string() : number_or_dash(service["port"]);
  return {service["name"].as_string(),
          service["kind"].as_string(),
          paint(state_colour(state, service["health"].as_string()), short_state(service), colour),
          number_or_dash(service["pid"]),
          where,
          runs && since > 0
              ? duration_text(static_cast<std::int64_t>(now_ns() / 1'000'000'000) - since)
              : "-",
          std::to_string(service["restarts"].as_int())};
}

const std::vector<std::string> kHeadings = {"SERVICE", "KIND", "STATE",   "PID",
                                            "PORT",    "UP",   "RESTARTS"};

std::string services_table(const Json& services, bool colour) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& service : services.as_array()) rows.push_back(row(service, colour));
  return table(kHeadings, rows);
}

Result<int> run(Context& context, const Args& args) {
  const bool all = args.has("all");
  const Json request = all ? Json::object({{"all", true}}) : TRY(context.project_request());
  auto client = TRY(context.connect());
  const Json reply = TRY(client.call("status", request));
  if (args.has("json")) return out(reply.dump(/*pretty=*/true) + "\n") ? 0 : 1;
  const bool colour = has_colour(STDOUT_FILENO);
  if (!all) return out(services_table(reply["services"], colour)) ? 0 : 1;
  std::string text;
  for (const Json& project : reply["projects"].as_array()) {
    text += (text.empty() ? "" : "\n") +
            paint(Colour::bold, project["project"].as_string(), colour) + "  " +
            project["dir"].as_string() + "\n" + services_table(project["services"], colour);
  }
  if (text.empty()) notice("no project is known");
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kStatus{
    .name = "status",
    .usage = "[--json] [--all]",
    .summary = "show the project's services (also: ps)",
    .details =
        "One line for each service: what it is, its state and health, its process, port and "
        "restarts.\n\n"
        "examples:\n"
        "  locald status\n"
        "  locald status --json | jq -r '.services[] | select(.state != \"running\").name'\n"
        "  locald status --all           every project of this user\n",
    .options = {{0, "json", nullptr, "as JSON; a field that does not apply is null"},
                {'a', "all", nullptr, "every project"}},
    .max_arguments = 0,
    .run = run,
};

}  // namespace locald::cli
