#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/job_pool.h"
#include "builder/cnb/app.h"
#include "builder/cnb/app_builder.h"
#include "builder/environment.h"
#include "server/reply.h"

namespace locald::server {

/// Requests about apps that are built with buildpacks: builds, and what they keep. Each
/// is a job. Loop thread only.
class Builds {
 public:
  struct World {
    EventLoop& loop;
    builder::Environment& environment;
    JobPool& jobs;
  };
  explicit Builds(World world) : world_(world) {}

  /// ipc/api.h: `build`.
  void build(const Json& body, const ReplyPtr& reply);
  void caches(const Json& body, const ReplyPtr& reply);
  void remove_caches(const Json& body, const ReplyPtr& reply);

 private:
  World world_;
};

}  // namespace locald::server
