#pragma once
#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "builder/bundle_source.h"
#include "builder/environment.h"
#include "ipc/messages/image.h"
#include "server/http/reply.h"

namespace locald::server {

/// Requests about the image store: each a job. Loop thread only.
class Images {
 public:
  struct Deps {
    EventLoop& loop;
    builder::Environment& environment;
    JobPool& jobs;
  };
  explicit Images(Deps deps) : deps_(deps) {}

  void pull(const ipc::ImagePullRequest& request, const ReplyPtr& reply);
  void list(const ipc::ImageListRequest& request, const ReplyPtr& reply);
  void inspect(const ipc::ImageInspectRequest& request, const ReplyPtr& reply);
  void remove(const ipc::ImageRemoveRequest& request, const ReplyPtr& reply);
  void unpack(const ipc::ImageUnpackRequest& request, const ReplyPtr& reply);
  void export_to(const ipc::ImageExportRequest& request, const ReplyPtr& reply);
  void push(const ipc::ImagePushRequest& request, const ReplyPtr& reply);
  void rebase(const ipc::ImageRebaseRequest& request, const ReplyPtr& reply);

 private:
  using Work =
      std::function<Result<JsonText>(builder::Environment&, const builder::PrepareContext&)>;
  /// Runs `work` with progress going to the client; hanging up cancels. `login_files` are read on
  /// behalf of who asks.
  void run(const std::string& name, std::vector<std::string> login_files, const ReplyPtr& reply,
           Work work);
  Deps deps_;
};

}  // namespace locald::server
