#pragma once
#include <string>
#include <vector>

#include "project/resolve/resolve.h"

namespace locald::project {

/// An image that is asked for what the file does not say of its container.
struct AskedImage {
  std::string service, image;
  PullPolicy pull = PullPolicy::missing;
  bool port = false;    ///< where it listens, on which something depends
  bool health = false;  ///< its health check
};

/// A check that asks wherever the service listens.
bool asks_own_port(const HealthSpec& health);

/// Of the containers of the project: those whose `container_port` is what their image exposes, as
/// something is published for them, or asks or refers to their port; and those that have their
/// image's health check. A problem of the file is not reported here.
std::vector<AskedImage> asked_images(const ResolveInput& input);

}  // namespace locald::project
