#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "ipc/messages/server.h"
#include "runtime/user_namespace.h"
#include "server/admission.h"
#include "server/api/copies.h"
#include "server/api/images.h"
#include "server/api/store_care.h"
#include "server/builds/builds.h"
#include "server/http/http_server.h"
#include "server/instances/containers.h"
#include "server/instances/sessions.h"
#include "server/launch/runtime_launcher.h"
#include "server/networks/network_trial.h"
#include "server/projects/projects.h"
#include "server/projects/unmanaged.h"

namespace locald::server {

/// Request -> its handler, which gets it read and checked. Loop thread only.
class Api {
 public:
  struct Deps {
    EventLoop& loop;
    const Paths& paths;
    JobPool& jobs;
    Projects& projects;
    Sessions& sessions;
    Containers& containers;
    Images& images;
    StoreCare& store;
    Copies& copies;
    Builds& builds;
    RuntimeLauncher& launcher;
    runtime::UserNamespace& user_namespace;
    std::string runtime_name;   ///< as configured: "runc"
    std::function<void()> end;  ///< ends the process, once replies are written
    Unmanaged* unmanaged = nullptr;
    // As of DoctorInputs.
    std::function<NetworkTrial(const std::stop_token&)> network = {};
    std::vector<std::string> cni_path = {};
  };
  explicit Api(Deps deps);

  void handle(const Request& request, const ReplyPtr& reply);
  std::vector<std::string> requests() const;  ///< the names of all

 private:
  using Handler = std::function<void(const Request&, const ReplyPtr&)>;
  void add_server();
  void add_projects();
  void add_instances();
  void add_images_and_builds();
  void version(const ipc::VersionRequest& request, const ReplyPtr& reply);
  void server_status(const ipc::ServerStatusRequest& request, const ReplyPtr& reply);
  void server_stop(const ipc::ServerStopRequest& request, const ReplyPtr& reply);
  void doctor(const ipc::DoctorRequest& request, const ReplyPtr& reply);
  void init(const ipc::InitRequest& request, const ReplyPtr& reply);
  void config_schema(const ipc::ConfigSchemaRequest& request, const ReplyPtr& reply);
  std::size_t jobs() const;
  std::size_t services() const;

  Deps deps_;
  std::map<std::string, Handler, std::less<>> handlers_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  bool ending_ = false;
  std::vector<ReplyPtr> stops_;  // of server/stop
};

}  // namespace locald::server
