#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.h"
#include "base/job_pool.h"
#include "base/paths.h"
#include "builder/environment.h"
#include "runtime/process_runtime.h"
#include "server/reply.h"

namespace locald::server {

/// Containers that belong to no project: `container run|ls|rm`. Those without
/// --rm are written down (STATE/containers.json), so that they are listed, and can be removed,
/// after their end and under another server. Loop thread only.
class Containers {
 public:
  struct World {
    EventLoop& loop;
    runtime::ProcessRuntime& runtime;
    builder::Environment& environment;
    const Paths& paths;
    JobPool& jobs;
    std::function<std::string()> notice;  ///< of the id map, once; on a job's thread
  };
  /// @param notice  set when the file had to be set aside.
  static Result<Containers> load(World world, std::string& notice);

  void run(const Json& body, const ReplyPtr& reply);
  void list(const Json& body, const ReplyPtr& reply);
  void remove(const Json& body, const ReplyPtr& reply);

  /// One that an earlier server started: `live`, or ended with `exit`.
  void adopt(const Json& meta, const std::string& instance, const std::string& nonce,
             std::unique_ptr<runtime::ServiceHandle> live, const runtime::ExitStatus& exit);
  /// After adoption: what is written down as running and was not found has ended.
  void settle();

  std::size_t running() const;
  /// Stops all; `done` when they are gone, and so is what earlier ones left.
  void stop_all(std::function<void()> done);

 private:
  struct Container {
    std::string id, name, image, nonce;
    std::vector<std::string> command;
    std::string state = "starting";  ///< starting, running, exited, failed
    bool rm = false;
    std::string created_at, started_at;
    std::optional<int> exit_code, signal;
    std::string reason;
    std::unique_ptr<runtime::ServiceHandle> handle;
    int pid = 0;
    ReplyPtr detached;  ///< of `run -d`: answered when it runs, or has ended
    std::vector<std::function<void()>> when_gone;
  };

  explicit Containers(World world) : world_(world) {}
  Json describe(const Container& c) const;
  void save();
  void listen(Container& c);
  void share(const Container& c, const std::vector<std::string>& writable);
  void ended(const std::string& id, const runtime::ExitStatus& status);
  void discard(const std::string& id, std::function<void(Result<void>)> done);
  Result<Container*> find(const std::string& text);

  World world_;
  void sweep_done();

  std::map<std::string, Container> all_;
  int sweeping_ = 0;  // removals under way
  std::vector<std::function<void()>> when_swept_;
};

}  // namespace locald::server
