#pragma once
#include <string>

#include "runtime/worker.h"

namespace locald::cnb {

// clang-format off
/// The jobs of builds that run in a worker (as those of builder/worker_jobs.h), since
/// what they touch belongs to the build user. `top` is the app's folder, absolute, and other paths
/// are relative to it; `uid` and `gid` are ids as the worker sees them.
///
///     cnb_begin    source (absolute), want, have, spare, workspace, folders:[],
///                  files:[{path, text}], previous: a layout's folder, or ""
///                  -> {changed:[], copied, bytes}
///                  Makes what the build wants made, instead of what is in the way; makes the
///                  previous image fit (export/previous_image.h); stages the source (source/staging.h) into
///                  `spare`, where `have` says what is there, and moves it to `workspace`. With
///                  `changed` nothing is moved: scan and call again.
///     cnb_files    folders:[], files:[{path, text}]              -> {}
///     cnb_restore  before: Generation or null                    -> build/restore_job.h
///     cnb_commit   number, before, restored, lowers, lower_base  -> build/commit_job.h
///     cnb_written  workspace, want, folders:[]                   -> {paths:[]}
///                  What stands below `folders` of the workspace and is not of the source.
///     cnb_spare    source, want, have, spare, trees:[]           -> as cnb_begin
///                  Copies into spare/ what the next build will ask for.
///     cnb_export   generation, known, owner                      -> export/export_job.h
///     cnb_check_layout  folder                                   -> {}, export/published_image.h
///     cnb_layout_config  folder                                  -> export/launcher_facts.h
///     cnb_usage    path (absolute; no top)                       -> {bytes}
///     cnb_buildpack_…                                            -> buildpacks/buildpack_job.h
///
/// @return an empty handler for an op that is not in the table.
// clang-format on
runtime::WorkerHandler find_worker_job(const std::string& op);

}  // namespace locald::cnb
