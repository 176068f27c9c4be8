#pragma once
#include <string>

#include "runtime/worker.h"

namespace locald::builder::cnb {

/// The jobs of builds that run in a worker (builder/worker_jobs.h, which finds them here), since
/// what they touch belongs to the build user. `top` is the app's folder, absolute, and other paths
/// are relative to it; `uid` and `gid` are ids as the worker sees them.
///
/// op           its members besides top, uid, gid                      result
/// cnb_begin    source (absolute), want, have, spare, workspace: stages the       {changed:[],
/// copied, bytes}:
///              source (staging.h) into `spare`, where `have` says     with `changed` nothing is
///              what is there; moves it to `workspace`.                moved: scan and call again
///              folders:[], files:[{path, text}], sparse:{folder:
///              [names that stay]}
///
/// cnb_restore  before: Generation or null                             restore_job.h
/// cnb_commit   number, before, restored, lowers                       commit_job.h
/// cnb_spare    source, want, have, spare, trees:[]: copies into       {changed:[], copied, bytes}
///              spare/ what the next build will ask for
///
/// @return an empty handler for an op that is not in the table.
runtime::WorkerHandler find_worker_job(const std::string& op);

}  // namespace locald::builder::cnb
