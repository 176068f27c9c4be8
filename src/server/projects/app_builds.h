#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop/job_pool.h"
#include "cnb/app.h"
#include "project/service_config.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// An app, and those of a project's services that run it.
struct RunningApp {
  cnb::AppSpec app;
  std::set<std::string> services;
  std::vector<std::string> login_files = {};
  std::set<std::string> process_types = {};  ///< that they are to run; "" = the app's default
  /// Others of the app that have ended well, and which life that was: what runs once for each
  /// build.
  std::map<std::string, std::uint64_t> completed = {};
};

/// Makes sure that an app is built, with these logins for registries, and that it has these process
/// types. `progress` ({phase, item, done, total}) and `done`, once, come on the loop; a build is
/// named as Launcher::content() names it.
using BuildApp = std::function<JobPool::Job(const RunningApp& app,
                                            std::function<void(const ipc::ProgressEvent&)> progress,
                                            std::function<void(Result<Json> content)> done)>;

/// The service has ended, and well.
bool has_completed(const Supervisor::Unit* unit);

/// The apps of those of `services` that have a process now, each once.
/// @param configs  What is to be run next.
std::vector<RunningApp> running_apps(const Supervisor& supervisor,
                                     const std::map<std::string, project::ServiceConfig>& configs,
                                     const std::set<std::string>& services,
                                     const project::UserContext& user);

/// Builds of a project's apps while their services run: those go on, and if a build fails, nothing
/// has happened to them. Loop thread only.
class AppBuilds {
 public:
  struct Deps {
    BuildApp build;
    std::function<void(const std::string& service)> changed;  ///< its build has begun or ended
    std::function<void(const std::string& service, const ipc::ProgressEvent&)> progress;
  };
  explicit AppBuilds(Deps deps) : deps_(std::move(deps)) {}
  ~AppBuilds();  ///< cancels all; their `done` is still called
  AppBuilds(const AppBuilds&) = delete;
  AppBuilds& operator=(const AppBuilds&) = delete;

  /// @param done  Once, also after cancel_all() and after the end of this object.
  void start(const RunningApp& app, std::function<void(Result<Json> content)> done);
  bool under_way(const std::string& service) const;
  void cancel_all();

 private:
  struct Build {
    std::set<std::string> services;
    JobPool::Job job;
  };
  Deps deps_;
  std::map<std::uint64_t, Build> builds_;
  std::uint64_t next_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace locald::server
