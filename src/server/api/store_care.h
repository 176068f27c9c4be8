#pragma once
#include <functional>
#include <set>
#include <string>

#include "base/loop/job_pool.h"
#include "builder/environment.h"
#include "ipc/messages/store.h"
#include "server/http/reply.h"
#include "server/projects/projects.h"

namespace locald::server {

/// Requests that keep the image store and the disk in order, and say logins to registries: each a
/// job, ended by hanging up. Loop thread only.
class StoreCare {
 public:
  struct Deps {
    builder::Environment& environment;
    JobPool& jobs;
    const Projects& projects;
  };
  explicit StoreCare(Deps deps) : deps_(deps) {}

  void tag(const ipc::ImageTagRequest& request, const ReplyPtr& reply);
  void history(const ipc::ImageHistoryRequest& request, const ReplyPtr& reply);
  void prune(const ipc::ImagePruneRequest& request, const ReplyPtr& reply);
  void login(const ipc::LoginRequest& request, const ReplyPtr& reply);
  void disk(const ipc::DiskRequest& request, const ReplyPtr& reply);

 private:
  using Work = std::function<Result<JsonText>(builder::Environment&, const std::stop_token&)>;
  void run(const std::string& name, const ReplyPtr& reply, Work work);

  Deps deps_;
};

}  // namespace locald::server
