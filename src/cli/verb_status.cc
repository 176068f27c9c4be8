#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

using Services = std::vector<ipc::ServiceStatus>;
using Projects = std::vector<ipc::ProjectStatus>;

/// `started_at` as seconds since 1970; 0: never.
std::int64_t started(const ipc::ServiceStatus& service) {
  if (!service.started_at) return 0;
  const auto ns = parse_since_ns(*service.started_at, now_ns());
  return ns ? static_cast<std::int64_t>(*ns / 1'000'000'000) : 0;
}

std::string number_or_dash(std::optional<int> value) {
  return value ? std::to_string(*value) : "-";
}

/// How much room the ports of a service may take.
enum class Ports { all, short_form, first };

/// Where the host reaches a service; "-": nowhere.
std::string ports_text(const ipc::ServiceStatus& service, Ports form) {
  std::vector<std::string> ports;
  if (form == Ports::all && service.url) ports.push_back(*service.url);
  for (const ipc::ServicePort& port : service.ports)
    if (const bool told = form == Ports::all && service.url && port.port == service.port &&
                          port.protocol == "tcp";
        !told)
      ports.push_back(port_text(port));
  if (ports.empty()) return number_or_dash(service.port);
  const std::size_t shown = form == Ports::first ? 1 : form == Ports::short_form ? 2 : ports.size();
  const std::size_t more = ports.size() - std::min(shown, ports.size());
  if (more != 0) ports.resize(shown);
  return join(ports, ", ") + (more != 0 ? " +" + std::to_string(more) : "");
}

std::vector<std::string> row(const ipc::ServiceStatus& service, bool colour) {
  const std::string& state = service.state;
  const auto since = started(service);
  const bool runs = state == "running" || state == "starting" || state == "stopping";
  return {service.name,
          service.kind,
          paint(state_colour(state, service.health), state_text(service, /*with_reason=*/false),
                colour),
          number_or_dash(service.pid),
          ports_text(service, Ports::all),
          runs && since > 0
              ? duration_text(static_cast<std::int64_t>(now_ns() / 1'000'000'000) - since)
              : "-",
          std::to_string(service.restarts)};
}

const std::vector<std::string> kHeadings = {"SERVICE", "KIND", "STATE",   "PID",
                                            "PORTS",   "UP",   "RESTARTS"};
constexpr std::ptrdiff_t kKind = 1;  // columns
constexpr std::size_t kPort = 4;

bool fits(const std::string& text, std::size_t width) {
  for (const std::string& line : split(text, '\n'))
    if (columns_of(line) > width) return false;
  return true;
}

/// The reason says what the column says: "exited with code 3" of one that is `exited 3`.
bool says_it_again(const ipc::ServiceStatus& service) {
  if (service.state != "exited") return false;
  return service.reason == "exited with code " + std::to_string(service.exit_code.value_or(-1)) ||
         service.reason == "was ended by " + service.signal.value_or("");
}

/// The services in a table no wider than `width`, the reasons of their states below it.
std::string services_text(const Services& services, bool colour, std::size_t width) {
  std::vector<std::string> headings = kHeadings;
  std::vector<std::vector<std::string>> rows;
  for (const ipc::ServiceStatus& service : services) rows.push_back(row(service, colour));
  // Where it is too wide: two ports instead of a URL and all, then one, then without kinds, then
  // cut.
  std::string text = table(headings, rows);
  for (const Ports form : {Ports::short_form, Ports::first}) {
    if (fits(text, width)) break;
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i][kPort] = ports_text(services[i], form);
    text = table(headings, rows);
  }
  if (!fits(text, width)) {
    headings.erase(headings.begin() + kKind);
    for (auto& cells : rows) cells.erase(cells.begin() + kKind);
    text = table(headings, rows);
  }
  if (!fits(text, width)) {
    std::string cut;
    for (const std::string& line : split(text, '\n'))
      if (!line.empty()) cut += cut_to(line, width) + "\n";
    text = cut;
  }
  std::string reasons;
  for (const ipc::ServiceStatus& service : services)
    if (service.reason && !service.reason->empty() && !says_it_again(service))
      reasons += wrapped(service.name + ": " + *service.reason, width, 2);
  return reasons.empty() ? text : text + "\n" + reasons;
}

Result<int> status_verb(Context& context, const Args& args) {
  const bool all = args.has("all");
  ipc::StatusRequest request{.project = {}, .all = all};
  if (!all) request.project = TRY(context.project());
  auto client = TRY(context.connect());
  if (args.has("json")) return print_json(TRY(client.call(request)));
  const auto reply = TRY(client.ask(request));
  const bool colour = has_colour(STDOUT_FILENO);
  const std::size_t width = output_width();
  for (const ipc::ServiceNotice& told : reply.notices) notice(told.text);
  if (!all) return out(services_text(reply.services.value_or(Services()), colour, width)) ? 0 : 1;
  std::string text;
  for (const ipc::ProjectStatus& project : reply.projects.value_or(Projects()))
    text += (text.empty() ? "" : "\n") + paint(Colour::bold, project.project, colour) + "  " +
            project.dir + "\n" + services_text(project.services, colour, width);
  if (text.empty()) notice("no project is known");
  return out(text) ? 0 : 1;
}

}  // namespace

const Verb kStatus{
    .name = "status",
    .usage = "[--json] [--all]",
    .summary = "show the project's services (also: ps)",
    .details =
        "One line for each service: its kind, state and health, its process, ports and restarts.\n"
        "A port is the host's: 8080 of a service on the host, 8080->80 of one that publishes its\n"
        "port 80 on loopback (other addresses are written out; +2: two more, in --json).\n"
        "The reason for a state is printed below the table.\n\n"
        "examples:\n"
        "  locald status\n"
        "  locald status --json | jq -r '.services[] | select(.state != \"running\").name'\n"
        "  locald status --all           every project of this user\n",
    .options = {{0, "json", nullptr, "as JSON; a field that does not apply is null"},
                {'a', "all", nullptr, "every project"}},
    .max_arguments = 0,
    .run = status_verb,
};

}  // namespace locald::cli
