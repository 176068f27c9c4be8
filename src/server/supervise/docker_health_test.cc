// When services with Docker's health checks become unhealthy here.
#include <gtest/gtest.h>

#include "project/docker_health.h"
#include "server/supervise/health.h"

namespace locald::server {
namespace {

using namespace std::chrono_literals;
using project::DockerHealth;
using project::Milliseconds;

/// When a service whose check never succeeds becomes unhealthy.
Milliseconds unhealthy_after(const DockerHealth& health) {
  const project::HealthSpec spec = project::health_spec(health);
  project::HealthConfig config;
  config.kind = spec.kind;
  config.interval = spec.interval;
  config.start_period = spec.start_period;
  config.retries = spec.retries;
  HealthTracker tracker(config);
  Milliseconds age{0};
  do age += tracker.next_delay(age);
  while (tracker.on_result(false, age) != Health::unhealthy && age < 24h);
  return age;
}

TEST(DockerHealth, IsUnhealthyWhenDockerSaysSo) {
  const std::vector<std::string> test{"CMD", "false"};
  const auto near = [](Milliseconds found, Milliseconds wanted) {
    EXPECT_GE(found, wanted * 9 / 10) << found.count();
    EXPECT_LE(found, wanted * 12 / 10) << found.count();
  };
  near(unhealthy_after({.test = test}), 90s);
  near(unhealthy_after({.test = test, .interval = 5s, .retries = 10}), 50s);
  near(unhealthy_after({.test = test, .interval = 1s, .retries = 30}), 30s);
  near(unhealthy_after({.test = test, .interval = 10s, .start_period = 60s, .retries = 3}), 90s);
}

}  // namespace
}  // namespace locald::server
