#pragma once

namespace locald::server {

/// `locald-server worker --job-fd N [--userns-fd M]`: joins the user namespace,
/// does the one job that comes over N (the tables of jobs: find_worker_job in the rooms below) and ends.
/// Called by main() before anything else is set up: the process has one thread here.
/// @param argc, argv  those of main(); argv[1] is "worker".
int worker_main(int argc, char** argv);

}  // namespace locald::server
