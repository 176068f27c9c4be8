#include <algorithm>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/events.h"
#include "ipc/messages/look.h"

namespace locald::cli {
namespace {

/// A line for each change, with its time of day (UTC, as everywhere).
std::string line_of(const ipc::ChangeEvent& change, bool colour) {
  std::string text = change.time.size() > 19 ? change.time.substr(11, 8) : change.time;
  text += "  " + change.project;
  if (!change.service.empty()) text += "/" + change.service;
  text += ": ";
  if (change.status)
    text += paint(state_colour(change.status->state, change.status->health),
                  harmless(state_text(*change.status)), colour);
  else
    text += change.kind == "notice" ? harmless(change.text) : change.kind;
  return text + "\n";
}

std::string lines_of(const ipc::SnapshotEvent& snapshot, bool colour) {
  std::string text;
  for (const ipc::ProjectStatus& project : snapshot.projects)
    for (const ipc::ServiceStatus& service : project.services)
      text += line_of({.time = snapshot.time,
                       .kind = "state",
                       .project = project.project,
                       .service = service.name,
                       .status = service},
                      colour);
  return text;
}

/// Prints what comes of one server. @return true: nobody reads any more
Result<bool> print_all(ipc::Call& call, bool json, std::optional<std::uint64_t>& last) {
  const bool colour = !json && has_colour(STDOUT_FILENO);
  while (true) {
    const ipc::Call::Item item = TRY(call.next());
    if (item.kind == ipc::Call::Kind::result) return true;
    std::string text = item.value.dump() + "\n";
    if (const auto change = ipc::event_as<ipc::ChangeEvent>(item.value)) {
      last = change->seq;
      if (!json) text = line_of(*change, colour);
    } else if (const auto snapshot = ipc::event_as<ipc::SnapshotEvent>(item.value)) {
      last = snapshot->seq;
      if (!json) text = lines_of(*snapshot, colour);
    } else if (!json) {
      continue;  // of a newer server
    }
    if (!out(text)) return true;
  }
}

Result<int> events_verb(Context& context, const Args& args) {
  ipc::EventsRequest request{.project = {}, .services = args.arguments(), .since = {}};
  if (!args.has("all"))
    request.project = TRY(context.project());
  else if (!args.arguments().empty())
    return usage_error("--all is of all projects: it goes without SERVICE");
  if (const auto since = args.value("since")) {
    request.since = parse_u64(*since);
    if (!request.since)
      return usage_error("--since: \"" + *since + "\" is not a number",
                         "the \"seq\" of the last change that was seen, as --json prints it");
  }
  auto client = TRY(context.connect());
  while (true) {
    auto call = TRY(client.start(request));
    auto ended = print_all(call, args.has("json"), request.since);
    if (ended) return 0;
    // A server that ends is not the end: the next one continues, where it knows what came before.
    auto next = context.connect();
    if (!next || next->server().pid == client.server().pid) return std::move(ended).error();
    client = std::move(*next);
  }
}

}  // namespace

const Verb kEvents{
    .name = "events",
    .usage = "[--all] [--json] [--since SEQ] [SERVICE…]",
    .summary = "show what happens to services, as it happens",
    .details =
        "Begins with the present states, then prints each change, until Ctrl-C: states of\n"
        "services, notices, and that a project is up or down. A restart of the server does not\n"
        "end it. With --json each line is an object: first one with event = \"snapshot\", whose\n"
        "\"seq\" is that of the last change in it, then changes with growing \"seq\". --since SEQ\n"
        "continues after that change without a snapshot; where the server does not have what\n"
        "followed any more, a snapshot comes all the same.\n\n"
        "examples:\n"
        "  locald events\n"
        "  locald events --json web | jq -c 'select(.kind == \"state\").status.state'\n",
    .options = {{'a', "all", nullptr, "of all projects"},
                {0, "json", nullptr, "as JSON, one object a line"},
                {0, "since", "SEQ", "continue after the change of this number"}},
    .run = events_verb,
};

}  // namespace locald::cli
