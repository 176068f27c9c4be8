#include "cli/foreground.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>

#include "base/log/log_reader.h"
#include "cli/failures.h"
#include "cli/log_printer.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/signals.h"

namespace locald::cli {
namespace {

/// A server that was watched for as long was in order: what ended it is something new.
constexpr auto kSteady = std::chrono::seconds(10);

/// True once nothing more will happen by itself.
bool has_ended(const std::string& state) {
  return state == "exited" || state == "failed" || state == "stopped";
}

/// One `locald up` in the foreground. Phases: the `up` request, then watching,
/// then (after a signal) going down. One poll loop drives all three.
class Foreground {
 public:
  Foreground(Context& context, ipc::Client& client, Signals signals)
      : context_(context), client_(client), signals_(std::move(signals)) {}

  Result<int> run(const ipc::UpRequest& request);

 private:
  Result<void> remember_ends();
  Result<void> open_logs();
  Result<void> on_up(ipc::Call::Item item);
  Result<void> on_watch(ipc::Call::Item item);
  Result<void> drain(std::optional<ipc::Call>& call,
                     Result<void> (Foreground::*handle)(ipc::Call::Item));
  Result<void> on_down(ipc::Call::Item item);
  Result<void> watch();
  Result<void> watch_again(Error why);
  Result<void> interrupted();
  Result<void> print_logs();
  void say_state(const ipc::ServiceStatus& service);
  bool all_ended() const;

  Context& context_;
  ipc::Client& client_;
  Signals signals_;
  ipc::ProjectPlace project_;
  std::optional<ipc::Call> up_, watch_, down_;
  std::optional<LogReader> logs_;
  std::optional<LogPrinter> printer_;
  std::optional<Progress> progress_{std::in_place};
  std::map<std::string, LogPosition> ends_;           // of the logs before this `up`
  std::set<std::string> shown_;                       // services whose logs are followed
  std::map<std::string, ipc::ServiceStatus> states_;  // as last heard
  std::map<std::string, std::string> said_;           // what stderr was told of each
  Failures failures_;                                 // before we go down
  int signals_seen_ = 0;
  int reconnects_ = 0;  // one soon after the other
  std::chrono::steady_clock::time_point watching_since_;
  bool gone_ = false;           // the project is down, by us or by another
  bool stdout_closed_ = false;  // nobody reads stdout any more, or it takes nothing more
  bool output_failed_ = false;
};

/// Where the logs of services that run already end now: what they wrote before is not of this `up`.
Result<void> Foreground::remember_ends() {
  const auto reply = client_.ask(ipc::LogsRequest{project_, {}});
  if (!reply) return {};  // the project is not up, or its file is wrong: `up` will say so
  for (const ipc::LogPlace& log : reply->services) ends_[log.name] = LogReader::end_of(log.dir);
  return {};
}

/// Opens the logs of all services, or adds those that are new since: another `up` may bring some.
Result<void> Foreground::open_logs() {
  const auto reply = TRY(client_.ask(ipc::LogsRequest{project_, {}}));
  if (!logs_) {
    logs_ = TRY(LogReader::open({}, {.follow = true}));
    printer_.emplace(LogPrinter::Options{});
  }
  for (const ipc::LogPlace& log : reply.services) {
    if (!shown_.insert(log.name).second) continue;
    LogPosition from{log.first_segment, 0};
    const auto end = ends_.find(log.name);
    if (end != ends_.end() && end->second.segment >= from.segment) from = end->second;
    TRY(logs_->add({.dir = log.dir, .from = from}));
    printer_->add(log.name);
  }
  return {};
}

void Foreground::say_state(const ipc::ServiceStatus& service) {
  std::string text = state_text(service);
  if (service.state == "running" && service.url) text += "  " + *service.url;
  if (std::exchange(said_[service.name], text) == text) return;
  const bool colour = has_colour(STDERR_FILENO);
  err(paint(Colour::bold, service.name, colour) + ": " +
      paint(state_colour(service.state, service.health), text, colour) + "\n");
}

Result<void> Foreground::on_up(ipc::Call::Item item) {
  if (item.kind == ipc::Call::Kind::event) {
    if (const auto changed = ipc::event_as<ipc::StateEvent>(item.value)) {
      const ipc::ServiceStatus& service = changed->service;
      states_[service.name] = service;
      said_[service.name] = state_text(service);
    }
    progress_->event(item.value);
    return {};
  }
  up_.reset();
  progress_.reset();
  const auto reply = TRY(ipc::reply_to<ipc::UpRequest>(item.value));
  for (const ipc::ServiceStatus& service : reply.services) {
    states_[service.name] = service;
    failures_.note(service);
  }
  report_up(context_, reply);
  if (!logs_) TRY(open_logs());
  return watch();
}

Result<void> Foreground::on_watch(ipc::Call::Item item) {
  if (item.kind == ipc::Call::Kind::event) {
    if (const auto said = ipc::event_as<ipc::NoticeEvent>(item.value); said && !progress_)
      err((said->service.empty() ? "" : said->service + ": ") + said->text + "\n");
    const auto changed = ipc::event_as<ipc::StateEvent>(item.value);
    if (!changed) return {};
    const ipc::ServiceStatus& service = changed->service;
    states_[service.name] = service;
    if (signals_seen_ == 0) failures_.note(service);
    if (logs_ && !shown_.contains(service.name)) TRY(open_logs());
    if (!progress_) say_state(service);
    return {};
  }
  watch_.reset();
  gone_ = true;
  return {};
}

Result<void> Foreground::on_down(ipc::Call::Item item) {
  if (item.kind == ipc::Call::Kind::event) {
    if (const auto changed = ipc::event_as<ipc::StateEvent>(item.value))
      say_state(changed->service);
    return {};
  }
  down_.reset();
  gone_ = true;
  return {};
}

/// Handles all that has come of one call. The handler may end the call.
Result<void> Foreground::drain(std::optional<ipc::Call>& call,
                               Result<void> (Foreground::*handle)(ipc::Call::Item)) {
  while (call) {
    auto item = TRY(call->poll());
    if (item.kind == ipc::Call::Kind::nothing) return {};
    TRY((this->*handle)(std::move(item)));
  }
  return {};
}

/// The server died or was upgraded: services go on, and so do we, with the next server.
Result<void> Foreground::watch_again(Error why) {
  watch_.reset();
  if (std::chrono::steady_clock::now() - watching_since_ > kSteady) reconnects_ = 0;
  if (++reconnects_ > 5) return why;
  client_ = TRY(context_.connect());
  return watch();
}

Result<void> Foreground::watch() {
  watch_ = TRY(client_.start(ipc::WatchRequest{project_}));
  watching_since_ = std::chrono::steady_clock::now();
  return {};
}

Result<void> Foreground::interrupted() {
  progress_.reset();
  ++signals_seen_;
  if (signals_seen_ == 1) {
    notice("stopping; press Ctrl-C again to kill");
    down_ = TRY(client_.start(ipc::DownRequest{project_}));
    up_.reset();
  } else if (signals_seen_ == 2) {
    notice("killing");
    TRY(client_.call(ipc::KillRequest{project_}));
  }
  return {};
}

Result<void> Foreground::print_logs() {
  if (!logs_ || stdout_closed_) return {};
  if (TRY(printer_->print_available(*logs_))) return {};
  stdout_closed_ = true;
  if (auto whole = check_output(); !whole) {  // said before the services go down for it
    print_error(whole.error());
    output_failed_ = true;
  }
  return signals_seen_ == 0 ? interrupted() : Result<void>();
}

bool Foreground::all_ended() const {
  return !states_.empty() && !up_ && !down_ &&
         std::all_of(states_.begin(), states_.end(),
                     [](const auto& s) { return has_ended(s.second.state); });
}

Result<int> Foreground::run(const ipc::UpRequest& request) {
  project_ = request.project;
  TRY(remember_ends());
  up_ = TRY(client_.start(request));
  while (true) {
    TRY(drain(up_, &Foreground::on_up));
    // As soon as the project is known its logs can be shown below the progress.
    if (!logs_ && !states_.empty() && !is_terminal(STDERR_FILENO)) TRY(open_logs());
    if (auto watched = drain(watch_, &Foreground::on_watch); !watched)
      TRY(watch_again(std::move(watched).error()));
    TRY(drain(down_, &Foreground::on_down));
    const bool end = gone_ || (watch_ && signals_seen_ == 0 && all_ended());
    TRY(print_logs());
    if (end) break;
    std::array<pollfd, 6> fds{pollfd{signals_.fd(), POLLIN, 0},
                              pollfd{up_ ? up_->fd() : -1, POLLIN, 0},
                              pollfd{watch_ ? watch_->fd() : -1, POLLIN, 0},
                              pollfd{down_ ? down_->fd() : -1, POLLIN, 0},
                              pollfd{logs_ && !stdout_closed_ ? logs_->fd() : -1, POLLIN, 0},
                              pollfd{stdout_closed_ ? -1 : STDOUT_FILENO, 0, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
      return Error::from_errno(errno, "poll");
    if ((fds[5].revents & POLLERR) != 0) {
      stdout_closed_ = true;
      if (signals_seen_ == 0) TRY(interrupted());
    }
    while (signals_.next()) TRY(interrupted());
  }
  if (signals_seen_ >= 2) return 130;
  failures_.repeat();  // what was said of them has scrolled away
  if (signals_seen_ == 1) return output_failed_ ? 1 : 0;
  if (gone_) {
    notice("the project was taken down");
    return 0;
  }
  const bool well = std::all_of(states_.begin(), states_.end(), [](const auto& s) {
    return s.second.state == "stopped" || (s.second.state == "exited" && s.second.exit_code == 0);
  });
  return well ? 0 : 1;
}

}  // namespace

Result<int> run_in_foreground(Context& context, ipc::Client& client,
                              const ipc::UpRequest& request) {
  // Before anything is started, so that no Ctrl-C falls between.
  auto signals = TRY(Signals::create({SIGINT, SIGTERM, SIGHUP}));
  return Foreground(context, client, std::move(signals)).run(request);
}

}  // namespace locald::cli
