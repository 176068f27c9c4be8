#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop/event_loop.h"
#include "net/verdict.h"
#include "project/service_config.h"

namespace locald::server {

enum class Health : std::uint8_t { none, starting, healthy, unhealthy };
std::string_view to_string(Health health) noexcept;

/// Counts probes of one life of a service: pure, the age comes from outside.
///
///     starting --success----------------------------------> healthy
///     starting --`retries` failures after `start_period`--> unhealthy
///     healthy ---`retries` failures in a row--------------> unhealthy
///     unhealthy --success---------------------------------> healthy
///
/// Failures before the first success count for nothing until `start_period` is over.
class HealthTracker {
 public:
  explicit HealthTracker(const project::HealthConfig& config) : config_(config) {}

  Health state() const noexcept { return state_; }

  /// @param age  since the process runs. @return the new state.
  Health on_result(bool success, project::Milliseconds age);

  /// When to probe next: until the first success after max(5 ms, 5 % of the age), at most
  /// `interval`.
  project::Milliseconds next_delay(project::Milliseconds age) const;

 private:
  project::HealthConfig config_;
  Health state_ = Health::starting;
  bool seen_success_ = false;
  int failures_ = 0;  // in a row, those that count
};

/// One kind of probe. `start` begins one, `done` is called once, on the loop's
/// thread, unless `cancel` (or the destructor) came first.
class Prober {
 public:
  using Done = std::function<void(net::Verdict)>;
  virtual ~Prober() = default;
  virtual void start(project::Milliseconds timeout, Done done) = 0;
  virtual void cancel() = 0;
  /// A success says all: nothing is asked again (a line was written, readiness was told).
  virtual bool once() const { return false; }
};

/// Probes one life of a service until it is destroyed. Loop thread only.
class HealthMonitor {
 public:
  /// Called on each change of state; `reason` is why the last probe failed. A probe that could not
  /// be made changes nothing; only where no later one can be made either, and the service was never
  /// healthy, it counts as failed.
  using Changed = std::function<void(Health state, const std::string& reason)>;

  /// @param started  when the process began to run.
  HealthMonitor(EventLoop& loop, project::HealthConfig config, std::unique_ptr<Prober> prober,
                EventLoop::Clock::time_point started, Changed changed);
  ~HealthMonitor();

  Health state() const noexcept { return tracker_.state(); }
  const std::string& last_failure() const noexcept { return last_failure_; }

 private:
  project::Milliseconds age() const;
  void schedule(project::Milliseconds delay);
  void probe();

  EventLoop& loop_;
  project::HealthConfig config_;
  std::unique_ptr<Prober> prober_;
  EventLoop::Clock::time_point started_;
  Changed changed_;
  HealthTracker tracker_;
  std::string last_failure_;
  EventLoop::Handle timer_;
};

}  // namespace locald::server
