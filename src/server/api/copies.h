#pragma once
#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "ipc/messages/look.h"
#include "server/http/reply.h"
#include "server/projects/projects.h"

namespace locald::server {

/// `cp`: files between the host and a container that runs. The host's side is opened here, as the
/// user and judged (R-FD); a worker, which may write what belongs to mapped ids, copies. Loop
/// thread only.
class Copies {
 public:
  struct Deps {
    builder::Environment& environment;
    JobPool& jobs;
    Projects& projects;
  };
  explicit Copies(Deps deps) : deps_(deps) {}

  /// Hanging up ends it; what was copied stays.
  void copy(const ipc::CopyRequest& request, const ReplyPtr& reply);

 private:
  Deps deps_;
};

}  // namespace locald::server
