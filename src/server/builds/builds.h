#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "ipc/messages/build.h"
#include "server/http/reply.h"
#include "server/progress_event.h"
#include "server/projects/app_builds.h"

namespace locald::server {

class Projects;

/// Builds of apps with buildpacks, and what they keep: on their own, for requests and for services
/// that run. Loop thread only.
class Builds {
 public:
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
  };
  explicit Builds(Deps deps)
      : deps_(deps), jobs_(deps.loop, kAtOnce), caches_(deps.loop, kCachesAtOnce) {}

  /// For services that run (BuildApp of app_builds.h).
  JobPool::Job ensure(const RunningApp& app, OnProgress progress,
                      std::function<void(Result<Json> content)> done);

  // ipc/api.h: `build`, `build/logs`, `cache/ls`, `cache/rm`, `cache/prune`.
  void build(Projects& projects, const ipc::BuildRequest& request, const ReplyPtr& reply);
  void logs(Projects& projects, const ipc::BuildLogsRequest& request, const ReplyPtr& reply);
  void list_caches(const ipc::CacheListRequest& request, const ReplyPtr& reply);
  void remove_caches(const ipc::CacheRemoveRequest& request, const ReplyPtr& reply);
  void prune_caches(const ipc::CachePruneRequest& request, const ReplyPtr& reply);

  std::size_t unfinished() const { return jobs_.unfinished() + caches_.unfinished(); }

 private:
  static constexpr std::size_t kAtOnce = 4;  ///< besides those that build: Environment::builds()
  static constexpr std::size_t kCachesAtOnce = 2;
  Deps deps_;
  JobPool jobs_;
  JobPool caches_;  ///< what is asked of them is not to wait for builds, nor for their pulls
};

}  // namespace locald::server
