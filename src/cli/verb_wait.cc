#include <algorithm>
#include <chrono>

#include "base/sys/signals.h"
#include "cli/context.h"
#include "cli/failures.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "ipc/messages/project.h"

namespace locald::cli {
namespace {

constexpr int kOwnFailure = 125;

/// Its own exit code, 128+n where a signal ended it; nothing where it did not run to an end that is
/// known.
std::optional<int> code_of(const ipc::ServiceStatus& service) {
  if (!service.signal) return service.exit_code;
  const auto number = parse_signal(*service.signal);
  return number ? std::optional(128 + *number) : std::nullopt;
}

/// The first exit code that is not 0, in the order of `names`.
int report_ends(const std::vector<std::string>& names, const ipc::UpReply& reply) {
  if (reply.timed_out) {
    for (const auto& [service, why] : reply.reasons)
      print_error(Error(Errc::timed_out, service + ": " + why));
    return kOwnFailure;
  }
  int code = 0;
  for (const std::string& name : names)
    for (const ipc::ServiceStatus& service : reply.services) {
      if (service.name != name) continue;
      const int own = code_of(service).value_or(kOwnFailure);
      if (own != 0) print_error(Error(Errc::failed, name + ": " + state_text(service)));
      if (code == 0) code = own;
    }
  return code;
}

/// The answer of the server that lives long enough to give it: services outlive their server, and so
/// does the wait for them, for what is left of its time.
Result<ipc::UpReply> answer_to(const Context& context, ipc::WaitRequest request) {
  using Steady = std::chrono::steady_clock;
  const auto end = request.timeout ? std::optional(Steady::now() + *request.timeout) : std::nullopt;
  auto client = TRY(context.connect());
  while (true) {
    auto reply = client.ask(request);
    if (reply) return reply;
    auto next = context.connect();
    if (!next || next->server().pid == client.server().pid) return reply;
    client = std::move(*next);
    if (end)
      request.timeout =
          std::max(std::chrono::milliseconds(0),
                   std::chrono::duration_cast<std::chrono::milliseconds>(*end - Steady::now()));
  }
}

Result<int> wait_verb(Context& context, const Args& args) {
  const bool exited = args.has("exited");
  if (exited && args.has("healthy"))
    return usage_error("--healthy and --exited: a service is waited for in one of these ways");
  ipc::WaitRequest request{TRY(context.project()), args.arguments(), exited, {}};
  if (const auto timeout = args.value("timeout")) {
    const auto ms = parse_duration_ms("--timeout", *timeout);
    if (!ms) return usage_error(ms.error().message());
    request.timeout = std::chrono::milliseconds(*ms);
  }
  const auto reply = TRY(answer_to(context, request));
  return exited ? report_ends(args.arguments(), reply) : report_up(context, reply);
}

}  // namespace

const Verb kWait{
    .name = "wait",
    .usage = "[--healthy | --exited] [--timeout DURATION] SERVICE…",
    .summary = "wait until services are healthy, or have ended",
    .details =
        "The project must be up; wait starts nothing. --healthy, which is what it does without\n"
        "an option, ends when each is healthy (no check: started), and with 1 as soon as one\n"
        "has failed, has ended with a failure or was stopped. --exited ends when each has\n"
        "ended and is not restarted by itself; its exit code is that of the first one, in the\n"
        "order of the names, that did not end with 0: 128+n if a signal ended it, 125 if it\n"
        "did not run or the time was over. 125 is the code of other errors too. A restart of\n"
        "the server does not end the wait.\n\n"
        "examples:\n"
        "  locald wait db cache --timeout 30s\n"
        "  locald wait migrate --exited && echo migrated\n",
    .options = {{0, "healthy", nullptr, "until each is healthy (no check: started); the default"},
                {0, "exited", nullptr, "until each has ended"},
                {0, "timeout", "DURATION", "give up after this time: 30s, 1m30s"}},
    .min_arguments = 1,
    .own_failure = kOwnFailure,
    .run = wait_verb,
};

}  // namespace locald::cli
