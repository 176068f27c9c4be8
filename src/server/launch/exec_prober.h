#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "runtime/process_runtime.h"
#include "server/supervise/health.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// Counts the commands that health checks run, by instance: the end of an instance waits for its
/// own. Thread-safe.
class RunningProbes {
 public:
  /// One command, from before it is started until nothing of it is left. A command that is called
  /// off is looked at within it: what has begun too late ends at once.
  class Scope {
   public:
    Scope(RunningProbes& all, const std::string& instance);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    RunningProbes& all_;
    std::string instance_;
  };

  /// Waits until none of the instance's runs; after it has been called off. Blocks.
  /// @return whether none runs
  bool wait(const std::string& instance, std::chrono::milliseconds limit);

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, int> commands_;
};

/// Runs a command of the service's on a job: in its container, or beside the host process. Exit
/// code 0 is healthy; a command that could not be run at all says nothing.
class ExecProber final : public Prober {
 public:
  /// The service's configuration as it is now (addresses of others). On a job's thread.
  using Effective =
      std::function<std::shared_ptr<const project::ServiceConfig>(const LaunchRequest& request)>;
  /// All but `request` are borrowed, and outlive the jobs.
  ExecProber(JobPool& jobs, RunningProbes& running, runtime::ProcessRuntime& runtime,
             const builder::Environment& environment, LaunchRequest request, Effective effective);
  ~ExecProber() override;

  void start(project::Milliseconds timeout, Done done) override;
  void cancel() override;

 private:
  JobPool& jobs_;
  RunningProbes& running_;
  runtime::ProcessRuntime& runtime_;
  const builder::Environment& environment_;
  LaunchRequest request_;
  Effective effective_;
  JobPool::Job job_;
  std::shared_ptr<bool> alive_;
};

}  // namespace locald::server
