#include "project/docker_health.h"

#include <algorithm>
#include <limits>

namespace locald::project {
namespace {

constexpr Milliseconds kInterval{30'000}, kTimeout{30'000};
constexpr std::int64_t kRetries = 3, kMostRetries = 1000;
constexpr Milliseconds kLongestTime{std::chrono::hours(24 * 30)};

Milliseconds or_default(std::optional<Milliseconds> written, Milliseconds fallback) {
  return !written || written->count() <= 0 ? fallback : std::min(*written, kLongestTime);
}

/// From when on failures are to count, for `retries` of them to end at `end`: before the first
/// success the next check comes after 5 % of the age (HealthTracker::next_delay).
Milliseconds start_of_counting(Milliseconds end, Milliseconds interval, std::int64_t retries) {
  for (; retries > 0; --retries) end = std::max(end - interval, end * 20 / 21);
  return end;
}

}  // namespace

HealthSpec health_spec(const DockerHealth& health) {
  HealthSpec out;
  out.at = health.at;
  if (health.test.size() < 2) return out;
  const std::string& kind = health.test[0];
  if (kind != "CMD" && kind != "CMD-SHELL") return out;
  out.kind = HealthSpec::Kind::exec;
  out.command.shell = kind == "CMD-SHELL";
  for (auto word = health.test.begin() + 1; word != health.test.end(); ++word)
    out.command.words.push_back(literal_text(*word, health.at));
  if (out.command.shell) out.command.words.resize(1);
  out.interval = or_default(health.interval, kInterval);
  out.timeout = or_default(health.timeout, kTimeout);
  const std::int64_t retries =
      health.retries.value_or(0) > 0 ? std::min(*health.retries, kMostRetries) : kRetries;
  out.retries = static_cast<int>(retries);
  const Milliseconds start = or_default(health.start_period, Milliseconds(0));
  out.start_period = start_of_counting(start + out.interval * retries, out.interval, retries);
  return out;
}

HealthSpec health_spec(DockerHealth image, const ImageHealthSpec& wanted) {
  if (wanted.interval) image.interval = wanted.interval;
  if (wanted.timeout) image.timeout = wanted.timeout;
  if (wanted.start_period) image.start_period = wanted.start_period;
  if (wanted.retries) image.retries = wanted.retries;
  image.at = wanted.at;
  return health_spec(image);
}

}  // namespace locald::project
