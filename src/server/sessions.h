#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/job_pool.h"
#include "builder/environment.h"
#include "runtime/process_runtime.h"
#include "server/projects.h"
#include "server/reply.h"

namespace locald::server {

/// Commands that people run in services (`exec`), and attaching to services. What
/// is said over the terminal goes between the CLI and the shim; the server
/// starts the session, and cleans up after it. Loop thread only.
class Sessions {
 public:
  struct World {
    EventLoop& loop;
    runtime::ProcessRuntime& runtime;
    builder::Environment& environment;
    JobPool& jobs;
    Projects& projects;
  };
  explicit Sessions(World world) : world_(world) {}

  void exec(const Json& body, const ReplyPtr& reply);
  void attach(const Json& body, const ReplyPtr& reply);

  /// One that an earlier server started, or that ended without a server.
  void adopt(const std::string& project, const std::string& instance, const std::string& nonce,
             std::unique_ptr<runtime::ServiceHandle> live);

  /// Kills those of `project`; `done`, perhaps at once, when nothing of them is left.
  void end(const std::string& project, std::function<void()> done);
  /// Kills all; `done` when nothing of them is left.
  void stop_all(std::function<void()> done);

 private:
  struct Session {
    std::string project;
    std::unique_ptr<runtime::ServiceHandle> handle;  // null: ended, being cleaned
  };
  struct Waiter {
    std::string project;  // empty: all
    std::function<void()> done;
  };
  void keep(const std::string& project, std::unique_ptr<runtime::ServiceHandle> handle);
  void clean(const std::string& instance, const std::string& nonce);
  void kill_and_wait(Waiter waiter);
  bool any_of(const std::string& project) const;
  void look_if_quiet();

  World world_;
  std::map<std::string, Session> sessions_;  // by instance
  std::vector<Waiter> waiters_;
};

}  // namespace locald::server
