#include "server/supervise/health.h"

#include <algorithm>
#include <utility>

namespace locald::server {

std::string_view to_string(Health health) noexcept {
  switch (health) {
    case Health::none:
      return "none";
    case Health::starting:
      return "starting";
    case Health::healthy:
      return "healthy";
    case Health::unhealthy:
      return "unhealthy";
  }
  return "none";
}

Health HealthTracker::on_result(bool success, project::Milliseconds age) {
  if (success) {
    seen_success_ = true;
    failures_ = 0;
    return state_ = Health::healthy;
  }
  if (!seen_success_ && age < config_.start_period) return state_;
  if (++failures_ >= config_.retries) state_ = Health::unhealthy;
  return state_;
}

project::Milliseconds HealthTracker::next_delay(project::Milliseconds age) const {
  if (seen_success_) return config_.interval;
  return std::min(config_.interval, std::max(project::Milliseconds(5), age / 20));
}

HealthMonitor::HealthMonitor(EventLoop& loop, project::HealthConfig config,
                             std::unique_ptr<Prober> prober, EventLoop::Clock::time_point started,
                             Changed changed)
    : loop_(loop),
      config_(std::move(config)),
      prober_(std::move(prober)),
      started_(started),
      changed_(std::move(changed)),
      tracker_(config_) {
  schedule(tracker_.next_delay(age()));
}

HealthMonitor::~HealthMonitor() { prober_->cancel(); }

project::Milliseconds HealthMonitor::age() const {
  return std::chrono::duration_cast<project::Milliseconds>(EventLoop::Clock::now() - started_);
}

void HealthMonitor::schedule(project::Milliseconds delay) {
  timer_ = loop_.after(delay, [this] { probe(); });
}

void HealthMonitor::probe() {
  prober_->start(config_.timeout, [this](const net::Verdict& verdict) {
    const Health before = tracker_.state();
    const bool known = verdict.kind != net::Verdict::Kind::unknown;
    // R-UNKNOWN: what was healthy is left so. What was not yet would be waited for without end.
    const bool hopeless = verdict.lasting && before == Health::starting;
    const Health now = known      ? tracker_.on_result(bool(verdict), age())
                       : hopeless ? tracker_.on_result(false, config_.start_period)
                                  : before;
    last_failure_ = verdict.reason;
    if (!verdict || !prober_->once()) schedule(tracker_.next_delay(age()));
    if (now != before) {
      const Changed changed = changed_;  // it may destroy this object
      changed(now, last_failure_);
    }
  });
}

}  // namespace locald::server
