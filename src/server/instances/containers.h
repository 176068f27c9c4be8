#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "builder/environment.h"
#include "ipc/messages/container.h"
#include "runtime/instance.h"
#include "runtime/instance_meta.h"
#include "runtime/process_runtime.h"
#include "server/admission.h"
#include "server/http/reply.h"
#include "server/networks/container_networks.h"

namespace locald::server {

/// Containers that belong to no project: `container run|ls|rm`. Those without
/// --rm are written down (STATE/containers.json), so that they are listed, and can be removed,
/// after their end and under another server. What may be asked of one in which state is said by
/// the table in admission.h. Loop thread only.
class Containers {
 public:
  using Started = Result<std::unique_ptr<runtime::ServiceHandle>>;
  /// What the work of a job needs.
  struct Tools {
    runtime::ProcessRuntime& runtime;
    builder::Environment& environment;
    std::function<std::string()> notice;  ///< of the id map, once
  };
  using Start = std::function<Started(const Tools&, const std::stop_token&)>;
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    const Paths& paths;
    /// Jobs; `done` comes once, on the loop, later, also after a cancel.
    std::function<JobPool::Job(const std::string& name, Start start,
                               std::function<void(Started)> done)>
        start;
    runtime::Instance::Clean clean, discard;  ///< ProcessRuntime's, and Containers::discard
    ContainerNetworks* networks = nullptr;    ///< borrowed; null: there is the host's alone
  };
  /// @param notice  set when the file had to be set aside.
  static Result<Containers> load(Deps deps, std::string& notice);

  /// Everything of it goes: runtime, volumes without a name, log, and at last the writable layer,
  /// which tells of the rest while there is some. On a job's thread.
  static Result<void> discard(const Tools& tools, const std::string& id, const std::string& nonce,
                              const std::stop_token& stop);

  void run(const ipc::ContainerRunRequest& request, const ReplyPtr& reply);
  void list(const ipc::ContainerListRequest& request, const ReplyPtr& reply);
  void remove(const ipc::ContainerRemoveRequest& request, const ReplyPtr& reply);

  /// One that an earlier server started: `live`, or ended with `exit`.
  void adopt(const runtime::InstanceMeta& meta, const std::string& instance,
             const std::string& nonce, std::unique_ptr<runtime::ServiceHandle> live,
             const runtime::ExitStatus& exit);
  /// Whether it is what a server that was killed left of a start or a removal: a writable layer
  /// that nothing else tells of.
  bool is_rest(const std::string& instance) const;
  void remove_rest(const std::string& instance, const std::string& nonce);
  /// After adoption: what is written down as running and was not found has ended, and the rests
  /// go of which there is not even an instance.
  void settle();

  ContainerState state_of(const std::string& name) const;
  /// Makes again what the run and state folders have to hold of them.
  void write_back();

  std::size_t running() const;
  /// Stops all, also those that are just being started; `done` when they and earlier ones have
  /// ended, and what they leave is removed.
  void stop_all(std::function<void()> done);

 private:
  static constexpr const char* kProject = "container";  // whose volumes and logs
  struct Container {
    std::string id, name, image, nonce;
    std::vector<std::string> command;
    std::string state = "starting";  ///< starting, running, exited, failed
    bool rm = false;                 ///< it goes with its end, or is going: not written down
    std::string created_at, started_at;
    EventLoop::Clock::time_point running_since{};
    bool own_command = false;  ///< the image's; nobody gave one
    std::optional<int> exit_code, signal;
    std::string reason;
    runtime::Instance instance;
    ContainerNetwork network;
    int pid = 0;
    ReplyPtr detached;   ///< of `run -d`: answered when it runs, or has ended
    JobPool::Job start;  ///< while it is starting
    std::vector<std::function<void(const Result<void>&)>> when_gone;  ///< its removal is wanted
    EventLoop::Handle retry;  ///< of a removal that came to nothing for a reason that may pass
  };

  explicit Containers(Deps deps) : deps_(std::move(deps)) {}
  static ipc::ContainerStatus describe(const Container& c);
  void save();
  void started(const std::string& id, bool detach, const ReplyPtr& reply, Started result);
  runtime::Instance begin(const Container& c);
  static void answer(const Container& c, const ReplyPtr& reply);
  void share(const Container& c, const std::vector<std::string>& writable);
  void ended(Container& c, const runtime::ExitStatus& status);
  void cleaned(const std::string& id, const Result<void>& result);
  void discard(Container& c);
  Result<void> reconnect(Container& c);
  void remove_one(Container& c, bool force, std::function<void(const Result<void>&)> done);
  Result<Container*> find(const std::string& text);
  static ContainerState state_of(const Container& c);
  void look_if_quiet();

  Deps deps_;
  std::map<std::string, Container> all_;
  std::vector<std::function<void()>> when_quiet_;  // all that is left has ended
};

}  // namespace locald::server
