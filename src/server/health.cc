#include "server/health.h"

#include <algorithm>
#include <utility>

#include "server/probe.h"

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

Health HealthTracker::on_result(bool success, Milliseconds age) {
  if (success) {
    seen_success_ = true;
    failures_ = 0;
    return state_ = Health::healthy;
  }
  if (!seen_success_ && age < config_.start_period) return state_;
  if (++failures_ >= config_.retries) state_ = Health::unhealthy;
  return state_;
}

Milliseconds HealthTracker::next_delay(Milliseconds age) const {
  if (seen_success_) return config_.interval;
  return std::min(config_.interval, std::max(Milliseconds(5), age / 20));
}

namespace {

class NetProber : public Prober {
 public:
  NetProber(EventLoop& loop, std::string host, std::uint16_t port, std::string path)
      : loop_(loop), host_(std::move(host)), port_(port), path_(std::move(path)) {}

  void start(Milliseconds timeout, Done done) override {
    // `done` may start the next one, or destroy this object: the probe that calls it is let go
    // first.
    auto ended = [this, done = std::move(done)](Result<void> result) {
      const auto probe = std::move(probe_);
      const Done call = done;
      call(std::move(result));
    };
    probe_ = path_.empty() ? probe_tcp(loop_, host_, port_, timeout, std::move(ended))
                           : probe_http(loop_, host_, port_, path_, timeout, std::move(ended));
  }
  void cancel() override { probe_.reset(); }

 private:
  EventLoop& loop_;
  std::string host_;
  std::uint16_t port_;
  std::string path_;  // empty: connecting is enough
  std::unique_ptr<Probe> probe_;
};

}  // namespace

std::unique_ptr<Prober> make_net_prober(EventLoop& loop, const std::string& host,
                                        std::uint16_t port, const std::string& path) {
  return std::make_unique<NetProber>(loop, host, port, path);
}

HealthMonitor::HealthMonitor(EventLoop& loop, HealthConfig config, std::unique_ptr<Prober> prober,
                             EventLoop::Clock::time_point started, Changed changed)
    : loop_(loop),
      config_(std::move(config)),
      prober_(std::move(prober)),
      started_(started),
      changed_(std::move(changed)),
      tracker_(config_) {
  schedule(tracker_.next_delay(age()));
}

HealthMonitor::~HealthMonitor() { prober_->cancel(); }

Milliseconds HealthMonitor::age() const {
  return std::chrono::duration_cast<Milliseconds>(EventLoop::Clock::now() - started_);
}

void HealthMonitor::schedule(Milliseconds delay) {
  timer_ = loop_.after(delay, [this] { probe(); });
}

void HealthMonitor::probe() {
  prober_->start(config_.timeout, [this](Result<void> result) {
    const Health before = tracker_.state();
    const Health now = tracker_.on_result(result.has_value(), age());
    last_failure_ = result ? std::string() : result.error().message();
    if (!result || !prober_->once()) schedule(tracker_.next_delay(age()));
    if (now != before) {
      const Changed changed = changed_;  // it may destroy this object
      changed(now, last_failure_);
    }
  });
}

}  // namespace locald::server
