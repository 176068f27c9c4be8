#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log/log_reader.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/log_filter.h"
#include "cli/log_printer.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/build.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

struct Logs {
  std::vector<std::string> names;
  std::vector<LogReader::Source> sources;
};

// Both connections are gone before we follow: a reader of files needs no server.

Result<Logs> logs_of_services(Context& context, const Args& args) {
  const ipc::LogsRequest request{TRY(context.project()), args.arguments()};
  auto client = TRY(context.connect());
  const auto reply = TRY(client.ask(request));
  Logs logs;
  for (const ipc::LogPlace& log : reply.services) {
    logs.names.push_back(log.name);
    logs.sources.push_back({.dir = log.dir, .from = {args.has("all") ? 0 : log.first_segment, 0}});
  }
  return logs;
}

Result<Logs> logs_of_builds(Context& context, const Args& args) {
  ipc::BuildLogsRequest request;
  request.all = args.has("all");
  if (!args.arguments().empty() && is_folder(args.argument(0))) {
    request.path = TRY(absolute_path(args.argument(0)));
  } else {
    request.project = TRY(context.project());
    request.services = args.arguments();
    request.world = world();
  }
  auto client = TRY(context.connect());
  const auto list = TRY(client.ask(request)).logs;
  Logs logs;
  for (auto log = list.rbegin(); log != list.rend(); ++log) {  // oldest first
    logs.names.push_back(log->name);
    logs.sources.push_back({.dir = log->dir, .from = {0, 0}});
  }
  if (logs.sources.empty())
    return Error(Errc::not_found, "no build of it has left a log").with_hint("locald build");
  return logs;
}

/// How long poll(2) may wait, in ms: -1 for ever, 0 where `until_ns` has passed.
int time_left(std::uint64_t until_ns) {
  if (until_ns == 0) return -1;
  const std::uint64_t now = now_ns();
  if (now > until_ns) return 0;
  return static_cast<int>(std::min<std::uint64_t>((until_ns - now) / 1'000'000 + 1, 3'600'000));
}

Result<int> logs_verb(Context& context, const Args& args) {
  LogReader::Options options{.follow = args.has("follow")};
  std::optional<std::uint64_t> last;
  std::uint64_t until_ns = 0;
  if (const auto tail = args.value("tail"); tail && *tail != "all") {
    const auto lines = parse_u64(*tail);
    if (!lines)
      return usage_error("--tail: \"" + *tail + "\" is not a number of lines",
                         "--tail 100, or --tail all");
    // The reader counts lines, of which some do not fit.
    (args.has("grep") || args.has("until") ? last : options.tail) = *lines;
  }
  if (const auto until = args.value("until")) {
    const auto ns = parse_since_ns(*until, now_ns(), "--until");
    if (!ns)
      return usage_error(ns.error().message(),
                         "10m, 16:33, 2026-01-31T10:00:00Z, or seconds since 1970");
    until_ns = *ns;
  }
  const auto filter =
      LogFilter::make(args.value("grep").value_or(""), args.has("ignore-case"), until_ns);
  if (!filter)
    return usage_error("--grep: " + filter.error().message(), "patterns are those of grep -E");
  if (args.has("ignore-case") && !args.has("grep"))
    return usage_error("--ignore-case is of a pattern", "locald logs --grep PATTERN -i");
  if (const auto since = args.value("since")) {
    const auto ns = parse_since_ns(*since, now_ns());
    if (!ns)
      return usage_error(ns.error().message(),
                         "10m, 16:33, 2026-01-31T10:00:00Z, or seconds since 1970");
    options.since_ns = *ns;
  }
  Logs logs =
      TRY(args.has("build") ? logs_of_builds(context, args) : logs_of_services(context, args));
  auto& [names, sources] = logs;
  LogPrinter printer({.names = names,
                      .prefix = args.arguments().size() != 1 && names.size() > 1,
                      .timestamps = args.has("timestamps"),
                      .json = args.has("json"),
                      .takes = [&](const LogLine& line) { return filter->takes(line); },
                      .last = last});
  auto reader = TRY(LogReader::open(std::move(sources), options));
  while (true) {
    if (!TRY(printer.print_available(reader))) return 0;  // nobody reads any more
    if (!options.follow) return 0;
    pollfd fds[2] = {{reader.fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    const int left = time_left(until_ns);
    if (left == 0) return 0;
    if (::poll(fds, 2, left) < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if ((fds[1].revents & POLLERR) != 0) return 0;  // a pipe whose reader has gone
  }
}

}  // namespace

const Verb kLogs{
    .name = "logs",
    .usage = "[OPTION…] [SERVICE…]",
    .summary = "show what services wrote",
    .details =
        "Shows the project's present run, since the first `up` after `down`, across restarts of\n"
        "services and of the server. With one SERVICE the lines come as they are, otherwise\n"
        "each begins with its service. -f follows the service, not the process: it continues\n"
        "across restarts.\n\n"
        "examples:\n"
        "  locald logs -f                 all services, live\n"
        "  locald logs --tail 100 web     the last hundred lines of one\n"
        "  locald logs --build api        all that the last build of one wrote\n"
        "  locald logs --since 10m --timestamps web db\n"
        "  locald logs --grep 'error|timeout' -i --since 1h --until 10m\n"
        "  locald logs --json | jq -r 'select(.stream == \"stderr\").line'\n",
    .options = {{'f', "follow", nullptr, "keep printing new lines"},
                {'n', "tail", "N", "only the last N lines of each service"},
                {0, "since", "TIME",
                 "only lines since then: 10m, 16:33, 2026-01-31T10:00:00Z, or seconds since 1970"},
                {0, "until", "TIME", "only lines until then; with -f it ends there"},
                {'g', "grep", "PATTERN", "only lines with this in them, as by grep -E"},
                {'i', "ignore-case", nullptr, "small and capital letters are the same to --grep"},
                {'t', "timestamps", nullptr, "begin each line with its time (UTC)"},
                {0, "json", nullptr,
                 "one JSON object a line: service, time, stream, line, instance"},
                {'a', "all", nullptr, "include earlier runs, or builds, that are still kept"},
                {'b', "build", nullptr,
                 "show the log of the last build; write a folder as ./FOLDER"}},
    .run = logs_verb,
};

}  // namespace locald::cli
