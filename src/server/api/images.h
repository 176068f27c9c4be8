#pragma once
#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "server/http/reply.h"

namespace locald::server {

/// Requests about the image store: each a job. Loop thread only.
class Images {
 public:
  struct World {
    EventLoop& loop;
    builder::Environment& environment;
    JobPool& jobs;
  };
  explicit Images(World world) : world_(world) {}

  void pull(const Json& body, const ReplyPtr& reply);
  void list(const Json& body, const ReplyPtr& reply);
  void remove(const Json& body, const ReplyPtr& reply);
  void unpack(const Json& body, const ReplyPtr& reply);
  void export_to(const Json& body, const ReplyPtr& reply);
  void push(const Json& body, const ReplyPtr& reply);
  void rebase(const Json& body, const ReplyPtr& reply);

 private:
  /// Runs `work` with progress going to the client; hanging up cancels. `login_files` of the body
  /// are read on behalf of who asks.
  void run(const std::string& name, const Json& body, const ReplyPtr& reply,
           std::function<Result<Json>(builder::Environment&, const builder::PrepareContext&)> work);
  World world_;
};

}  // namespace locald::server
