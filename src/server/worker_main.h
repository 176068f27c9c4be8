#pragma once

namespace locald::server {

/// `locald-server worker --job-fd N [--userns-fd M]`: joins the user namespace,
/// does the one job that comes over N and ends. The jobs are those of builder/worker_jobs.h and
/// cnb/worker_jobs.h, and "listeners" (listeners.h).
/// Called by main() before anything else is set up: the process has one thread here.
/// @param argc, argv  those of main(); argv[1] is "worker".
int worker_main(int argc, char** argv);

}  // namespace locald::server
