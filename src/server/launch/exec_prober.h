#pragma once
#include <functional>
#include <memory>

#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "runtime/process_runtime.h"
#include "server/supervise/health.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// Runs a command of the service's on a job: in its container, or beside the host process. Exit
/// code 0 is healthy; a command that could not be run at all says nothing.
class ExecProber final : public Prober {
 public:
  /// The service's configuration as it is now (addresses of others). On a job's thread.
  using Effective =
      std::function<std::shared_ptr<const project::ServiceConfig>(const LaunchRequest& request)>;
  /// All but `request` are borrowed, and outlive the jobs.
  ExecProber(JobPool& jobs, runtime::ProcessRuntime& runtime,
             const builder::Environment& environment, LaunchRequest request, Effective effective);
  ~ExecProber() override;

  void start(project::Milliseconds timeout, Done done) override;
  void cancel() override;

 private:
  JobPool& jobs_;
  runtime::ProcessRuntime& runtime_;
  const builder::Environment& environment_;
  LaunchRequest request_;
  Effective effective_;
  JobPool::Job job_;
  std::shared_ptr<bool> alive_;
};

}  // namespace locald::server
