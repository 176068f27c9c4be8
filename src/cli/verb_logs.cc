#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log_reader.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/log_printer.h"
#include "cli/print.h"
#include "cli/verbs.h"

namespace locald::cli {
namespace {

Result<int> run(Context& context, const Args& args) {
  LogReader::Options options{.follow = args.has("follow")};
  if (const auto tail = args.value("tail"); tail && *tail != "all") {
    const auto lines = parse_u64(*tail);
    if (!lines)
      return usage_error("--tail: \"" + *tail + "\" is not a number of lines",
                         "--tail 100, or --tail all");
    options.tail = *lines;
  }
  if (const auto since = args.value("since")) {
    const auto ns = parse_since_ns(*since, now_ns());
    if (!ns)
      return usage_error(ns.error().message(), "10m, 2026-01-31T10:00:00Z, or seconds since 1970");
    options.since_ns = *ns;
  }
  Json request = TRY(context.project_request());
  request.set("services", Json(args.arguments()));
  std::vector<LogReader::Source> sources;
  std::vector<std::string> names;
  {
    // Gone before we follow: a reader of files needs no server.
    auto client = TRY(context.connect());
    const Json reply = TRY(client.call("logs", request));
    for (const Json& service : reply["services"].as_array()) {
      names.push_back(service["name"].as_string());
      const auto first = args.has("all") ? 0 : service["first_segment"].as_int();
      sources.push_back(
          {.dir = service["dir"].as_string(), .from = {static_cast<std::uint64_t>(first), 0}});
    }
  }
  LogPrinter printer({.names = names,
                      .prefix = args.arguments().size() != 1,
                      .timestamps = args.has("timestamps"),
                      .json = args.has("json")});
  auto reader = TRY(LogReader::open(std::move(sources), options));
  while (true) {
    if (!TRY(printer.print_available(reader))) return 0;  // nobody reads any more
    if (!options.follow) return 0;
    pollfd fds[2] = {{reader.fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if ((fds[1].revents & POLLERR) != 0) return 0;  // a pipe whose reader has gone
  }
}

}  // namespace

const Verb kLogs{
    .name = "logs",
    .usage = "[OPTION…] [SERVICE…]",
    .summary = "show what services wrote",
    .details =
        "Shows the project's present run, since it was last brought up from nothing, over restarts "
        "of services\n"
        "and of the server. With one SERVICE its lines come as they are, else each begins with its "
        "service.\n"
        "A follower (-f) follows the service, not the process: it goes on over restarts.\n\n"
        "examples:\n"
        "  locald logs -f                 all services, live\n"
        "  locald logs --tail 100 web     the last hundred lines of one\n"
        "  locald logs --since 10m --timestamps web db\n"
        "  locald logs --json | jq -r 'select(.stream == \"stderr\").line'\n",
    .options = {{'f', "follow", nullptr, "go on with what comes"},
                {'n', "tail", "N", "only the last N lines of each service"},
                {0, "since", "TIME",
                 "only from then on: 10m, 2026-01-31T10:00:00Z, or seconds since 1970"},
                {'t', "timestamps", nullptr, "begin each line with its time (UTC)"},
                {0, "json", nullptr,
                 "one JSON object a line: service, time, stream, line, instance"},
                {'a', "all", nullptr, "what is kept of earlier runs too"}},
    .run = run,
};

}  // namespace locald::cli
