#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "project/project_spec.h"

/// Health checks as Docker has them, in images and in compose files.
namespace locald::project {

struct DockerHealth {
  std::vector<std::string> test;  ///< "CMD" and words, "CMD-SHELL" and a text, "NONE"; or empty
  std::optional<Milliseconds> interval, timeout, start_period;  ///< unset, 0: Docker's default
  std::optional<std::int64_t> retries;
  SourcePos at;
};

/// The check that means the same here. A service is unhealthy when Docker would say so: after
/// `retries` checks, `interval` apart, from the end of `start_period` on. It is healthy as soon as a
/// check succeeds, of which there are more at the start (HealthTracker).
HealthSpec health_spec(const DockerHealth& health);

/// Of an image that has `image` (its times are the image's), by what the file says of it.
HealthSpec health_spec(DockerHealth image, const ImageHealthSpec& wanted);

}  // namespace locald::project
