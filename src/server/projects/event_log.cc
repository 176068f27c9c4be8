#include "server/projects/event_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/units.h"

namespace locald::server {

std::string event_time() { return time_text(std::chrono::system_clock::now(), 3); }

EventLog::EventLog()
    : first_(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                            std::chrono::system_clock::now().time_since_epoch())
                                            .count())),
      last_(first_) {}

EventLog::~EventLog() {
  for (const Listener& listener : listeners_)
    listener.reply->error(Error(Errc::cancelled, "the server is stopping")
                              .with_hint("ask the next one for what came after the last number"));
}

bool EventLog::Listener::wants(const Kept& change) const {
  return (project.empty() || project == change.project) &&
         (services.empty() || change.service.empty() || services.contains(change.service));
}

void EventLog::add(ipc::ChangeEvent change) {
  const std::string key = change.project + "/" + change.service;
  if (change.status) {
    std::string now = encode_text(*change.status).str();
    std::string& before = states_[key];
    if (now == before) return;
    before = std::move(now);
  } else if (change.kind == "removed") {
    if (states_.erase(key) == 0) return;
  } else if (change.kind == "down") {
    std::erase_if(states_, [prefix = change.project + "/"](const auto& entry) {
      return entry.first.starts_with(prefix);
    });
  }
  change.seq = ++last_;
  change.time = event_time();
  const Kept& kept =
      kept_.emplace_back(Kept{change.seq, change.project, change.service, encode_text(change)});
  std::erase_if(listeners_, [](const Listener& listener) { return !listener.reply->open(); });
  for (const Listener& listener : listeners_)
    if (listener.wants(kept)) listener.reply->event(kept.text);
  if (kept_.size() <= kKept) return;
  first_ = kept_.front().seq;
  kept_.pop_front();
}

void EventLog::subscribe(const ReplyPtr& reply, const std::string& project,
                         const std::set<std::string>& services,
                         std::optional<std::uint64_t> since) {
  const Listener& listener = listeners_.emplace_back(Listener{reply, project, services});
  if (!since) return;
  for (const Kept& change : kept_)
    if (change.seq > *since && listener.wants(change)) reply->event(change.text);
}

}  // namespace locald::server
