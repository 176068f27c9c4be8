#pragma once
#include <functional>
#include <string>

#include "builder/bundle_source.h"
#include "ipc/messages/events.h"

namespace locald::server {

/// Takes what a job says of its progress; called on the loop.
using OnProgress = std::function<void(const ipc::ProgressEvent&)>;

/// What a job says of its progress, as the event that clients get.
/// @param service  whose; "" for none
ipc::ProgressEvent progress_event(const builder::PrepareProgress& progress,
                                  const std::string& service = "");

}  // namespace locald::server
