#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "runtime/user_namespace.h"
#include "server/api/images.h"
#include "server/builds/builds.h"
#include "server/http/http_server.h"
#include "server/instances/admission.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/instances/unmanaged.h"
#include "server/launch/runtime_launcher.h"
#include "server/projects/projects.h"

namespace locald::server {

/// Request -> its handler: the table of ipc/api.h. Loop thread only.
class Api {
 public:
  struct World {
    EventLoop& loop;
    const Paths& paths;
    JobPool& jobs;
    Projects& projects;
    Sessions& sessions;
    Containers& containers;
    Images& images;
    Builds& builds;
    RuntimeLauncher& launcher;
    runtime::UserNamespace& user_namespace;
    std::string runtime_name;   ///< as configured: "runc"
    std::function<void()> end;  ///< ends the process, once replies are written
    Unmanaged* unmanaged = nullptr;
  };
  explicit Api(World world);

  void handle(const Request& request, const ReplyPtr& reply);
  std::vector<std::string> requests() const;  ///< the names of all

 private:
  using Handler = std::function<void(const Json&, const ReplyPtr&)>;
  void guard_unmanaged();
  void version(const Json& body, const ReplyPtr& reply);
  void server_status(const Json& body, const ReplyPtr& reply);
  void server_stop(const Json& body, const ReplyPtr& reply);
  void doctor(const Json& body, const ReplyPtr& reply);
  std::size_t jobs() const;
  std::size_t services() const;

  World world_;
  std::map<std::string, Handler> handlers_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  bool ending_ = false;
  std::vector<ReplyPtr> stops_;  // of server/stop
};

}  // namespace locald::server
