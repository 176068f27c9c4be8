#pragma once
#include <string>

#include "runtime/worker.h"

namespace locald::cnb {

// clang-format off
/// The jobs of builds that run in a worker (as those of builder/worker_jobs.h), since
/// what they touch belongs to the build user. What each has and comes to: jobs.h.
///
///     cnb_begin    BeginJob -> StagingResult
///                  Makes what the build wants made, instead of what is in the way; makes the
///                  previous image fit (export/previous_image.h); stages the source (source/staging.h) into
///                  `spare`, where `have` says what is there, and moves it to `workspace`. With
///                  `changed` nothing is moved: scan and call again.
///     cnb_files    FilesJob -> {}
///     cnb_restore  RestoreJob -> RestoreResult, build/restore_job.h
///     cnb_commit   CommitJob -> members of a Generation, build/commit_job.h
///     cnb_written  WrittenJob -> WrittenResult
///                  What stands below `folders` of the workspace and is not of the source.
///     cnb_spare    SpareJob -> StagingResult
///                  Copies into spare/ what the next build will ask for.
///     cnb_export   ExportJob -> ExportResult, export/export_job.h
///     cnb_check_layout   CheckLayoutJob -> {}, export/published_image.h
///     cnb_layout_config  LayoutConfigJob -> LayoutConfigResult, export/launcher_facts.h
///     cnb_usage    UsageJob -> UsageResult
///     cnb_buildpack_…  buildpacks/buildpack_job.h
///
/// @return an empty handler for an op that is not in the table.
// clang-format on
runtime::WorkerHandler find_worker_job(const std::string& op);

}  // namespace locald::cnb
