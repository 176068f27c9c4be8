#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "runtime/instance.h"
#include "runtime/process_runtime.h"
#include "server/http/reply.h"
#include "server/networks/networks.h"
#include "server/projects/projects.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// Commands that people run in services (`exec`) and beside them (`run`), and attaching to services. What
/// is said over the terminal goes between the CLI and the shim; the server
/// starts the session, and cleans up after it. Loop thread only.
class Sessions {
 public:
  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  /// Starts one: blocks for some milliseconds.
  using Start = std::function<Started(runtime::ProcessRuntime&)>;
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    Projects& projects;
    /// Jobs; `done` comes once, on the loop, later.
    std::function<void(const std::string& name, Start start, std::function<void(Started)> done)>
        start;
    runtime::Instance::Clean clean;
    // Of `run`; borrowed.
    Launcher* launcher = nullptr;
    Networks* networks = nullptr;  ///< null: there are none but the host's
    /// Removes what a container of `config` leaves on disk; `done` comes once, on the loop, later.
    std::function<void(const std::string& project, const project::ServiceConfig& config,
                       std::function<void(Result<void>)> done)>
        discard = {};
  };
  explicit Sessions(Deps deps) : deps_(std::move(deps)) {}

  void exec(const ipc::ExecRequest& request, const ReplyPtr& reply);
  /// In a process or container of its own, with a name of its own in the project's networks
  /// (sessions_run.cc).
  void run(const ipc::RunRequest& request, const ReplyPtr& reply);
  void attach(const ipc::AttachRequest& request, const ReplyPtr& reply);

  /// One that an earlier server started, or that ended without a server.
  void adopt(const std::string& project, const std::string& instance, const std::string& nonce,
             std::unique_ptr<runtime::ServiceHandle> live);

  /// Kills those of `project`, also one that is just being started; `done`, perhaps at once, when
  /// nothing of them is left.
  void end(const std::string& project, std::function<void()> done);
  /// Makes again what the run folder has to hold of them.
  void write_back();
  /// Kills all; `done` when nothing of them is left.
  void stop_all(std::function<void()> done);

 private:
  struct Session {
    std::string project;
    runtime::Instance instance;
    std::shared_ptr<const project::ServiceConfig> own = nullptr;  ///< of `run`
    JobPool::Job start = {};                                      ///< of `run`, until it is there
    std::function<void()> when_gone = {};
  };
  struct Waiter {
    std::string project;  // empty: all
    std::function<void()> done;
  };
  runtime::Instance& begin(const std::string& project, const std::string& id,
                           const std::string& nonce);
  void clean(const std::string& id, const std::string& nonce,
             std::function<void(Result<void>)> done);
  void started(const std::string& id, const ReplyPtr& reply, Started result);
  void kill_and_wait(Waiter waiter);
  bool any_of(const std::string& project) const;
  void look_if_quiet();

  Deps deps_;
  std::map<std::string, Session> sessions_;  // by instance
  std::vector<Waiter> waiters_;
};

}  // namespace locald::server
