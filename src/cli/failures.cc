#include "cli/failures.h"

#include <algorithm>
#include <cstdint>

#include "base/log/log_reader.h"
#include "base/strings.h"
#include "cli/print.h"
#include "cli/progress.h"

namespace locald::cli {
namespace {

constexpr std::uint64_t kLastLines = 5;
constexpr std::size_t kMaxColumns = 300;  // of one of them
constexpr std::size_t kNamed = 3;         // of many that failed for one reason

struct Failure {
  std::vector<std::string> names;
  std::string text;
  bool ran = false;  // so there may be output
};

/// The last lines of what the service wrote in its present or last life, not in those before: they
/// would explain what has not happened. None where they cannot be read.
std::vector<std::string> last_lines(Context& context, const std::string& service) {
  std::vector<std::string> lines;
  const auto read = [&]() -> Result<void> {
    const ipc::LogsRequest request{TRY(context.project()), {service}};
    auto client = TRY(context.connect_running());
    const auto reply = TRY(client.ask(request));
    std::vector<LogReader::Source> sources;
    std::string nonce;
    for (const ipc::LogPlace& log : reply.services) {
      nonce = log.nonce;
      sources.push_back({.dir = log.dir, .from = {log.first_segment, 0}});
    }
    auto reader = TRY(LogReader::open(std::move(sources), {.tail = kLastLines}));
    LogLine line;
    while (TRY(reader.next(line)))
      if (line.instance == nonce) lines.push_back(cut_to(line.text, kMaxColumns));
    return {};
  };
  (void)read();
  if (lines.size() > kLastLines)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kLastLines));
  return lines;
}

/// It ran, and ended or is unwell: what it wrote may say why.
bool has_run(const ipc::ServiceStatus& service) {
  if (service.state == "running") return true;
  return (service.exit_code || service.signal) &&
         service.reason.value_or("").find("could not be started") == std::string::npos;
}

/// What is said of `name`, or nothing.
std::string text_of(const std::map<std::string, std::string>& texts, const std::string& name) {
  const auto it = texts.find(name);
  return it == texts.end() ? std::string() : it->second;
}

std::vector<Failure> failures_of(const ipc::UpReply& reply) {
  std::vector<Failure> failures;
  for (const std::string& name : reply.failed) {
    Failure failure{.names = {name}, .text = {}};
    for (const ipc::ServiceStatus& service : reply.services) {
      if (service.name != name) continue;
      // One that goes on, though what was wanted failed: its new build.
      const bool goes_on = service.state == "running" && service.health != "unhealthy";
      failure.ran = !goes_on && has_run(service);
      failure.text = goes_on ? text_of(reply.reasons, name) : state_text(service);
    }
    if (failure.text.empty()) failure.text = "did not start";
    // Many that depend on one are told of together.
    const auto same = std::find_if(failures.begin(), failures.end(), [&](const Failure& other) {
      return !failure.ran && !other.ran && other.text == failure.text;
    });
    if (same != failures.end())
      same->names.push_back(name);
    else
      failures.push_back(std::move(failure));
  }
  return failures;
}

std::string names_text(std::vector<std::string> names) {
  const std::size_t count = names.size();
  if (count <= kNamed + 1) return join(names, ", ");
  names.resize(kNamed);
  return join(names, ", ") + " and " + std::to_string(count - kNamed) + " more";
}

}  // namespace

int report_up(Context& context, const ipc::UpReply& reply) {
  const std::vector<Failure> failures = failures_of(reply);
  for (const Failure& failure : failures) {
    std::string text = names_text(failure.names) + ": " + failure.text;
    if (!failure.ran) {
      print_error(Error(Errc::failed, text));
      continue;
    }
    for (const std::string& line : last_lines(context, failure.names[0])) text += "\n  | " + line;
    print_error(Error(Errc::failed, text).with_hint("its output: locald logs " + failure.names[0]));
  }
  return failures.empty() ? 0 : 1;
}

void report_changes(const ipc::UpReply& reply) {
  for (const ipc::ServiceStatus& service : reply.services) {
    std::string what = text_of(reply.changes, service.name);
    if (what.empty() ||
        std::find(reply.failed.begin(), reply.failed.end(), service.name) != reply.failed.end())
      continue;
    if (const auto colon = what.find(": "); colon != std::string::npos)
      what = what.substr(0, colon) + " (" + what.substr(colon + 2) + ")";
    if (what == "unchanged") what += ", " + state_text(service, /*with_reason=*/false);
    err(service.name + ": " + what + "\n");
  }
}

void Failures::note(const ipc::ServiceStatus& service) {
  const bool failed =
      service.state == "failed" || (service.state == "exited" && service.exit_code != 0);
  std::erase(order_, service.name);
  if (!failed) {
    texts_.erase(service.name);
    return;
  }
  order_.push_back(service.name);
  texts_[service.name] = state_text(service);
}

void Failures::repeat() const {
  for (const std::string& name : order_)
    print_error(Error(Errc::failed, name + ": " + texts_.at(name))
                    .with_hint("its output: locald logs --all " + name));
}

}  // namespace locald::cli
