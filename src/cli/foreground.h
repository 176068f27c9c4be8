#pragma once
#include "cli/context.h"
#include "ipc/messages/project.h"

namespace locald::cli {

/// `locald up` in the foreground: sends `request`, shows progress and then the
/// services' logs and changes, until all have ended or the project is down.
///
///     SIGINT, SIGTERM, SIGHUP, or stdout closed --> `down`; once more --> `kill`
///
/// @return the exit code: 0 where all services ended well or were stopped by the
///         signal, 1 where one failed, 130 after a kill.
Result<int> run_in_foreground(Context& context, ipc::Client& client, const ipc::UpRequest& request);

}  // namespace locald::cli
