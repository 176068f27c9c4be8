#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/loop/job_pool.h"
#include "base/paths.h"
#include "base/sys/path_judge.h"
#include "ipc/messages/look.h"
#include "ipc/messages/project.h"
#include "net/network.h"
#include "project/project_file.h"
#include "project/resolve/low_ports.h"
#include "runtime/listener_search.h"
#include "server/admission.h"
#include "server/http/reply.h"
#include "server/networks/networks.h"
#include "server/projects/event_log.h"
#include "server/projects/image_answers.h"
#include "server/projects/open_ports.h"
#include "server/projects/project.h"
#include "server/projects/project_registry.h"
#include "server/projects/unmanaged.h"
#include "server/projects/wishes.h"
#include "server/supervise/launcher.h"

namespace locald::server {

/// All projects that are up, and the requests about them (ipc/messages/project.h; each of the functions below answers `reply`, at once or later). Loop thread only.
class Projects {
 public:
  struct Deps {
    EventLoop& loop;
    Launcher& launcher;
    const Paths& paths;
    JobPool& jobs;
    net::Network& network;
    const runtime::ListenerSearch& listeners;
    const SharedFolders& shared;
    BuildApp build;
    /// Removes what a project leaves on disk: containers' writable layers and, where told so,
    /// volumes. `done` comes once, on the loop, later.
    std::function<void(const std::string& project, bool volumes,
                       std::function<void(Result<void>)> done)>
        remove_data;
    /// Ends what people still run in the project's services, then calls `done`. On the loop.
    std::function<void(const std::string& project, std::function<void()> done)> end_sessions;
    const Unmanaged* unmanaged = nullptr;
    Networks* networks = nullptr;           ///< borrowed; null: there are none but the host's
    ImageAnswers* image_answers = nullptr;  ///< borrowed; null: no image tells of ports
    /// The digest of an image in the store, relative to a folder; "": it is not there. Any thread;
    /// blocks.
    std::function<std::string(const std::string& image, const std::string& dir)> image_digest = {};
  };
  Projects(Deps deps, ProjectRegistry registry);

  void up(const ipc::UpRequest& request, const ReplyPtr& reply) { bring_up(request, reply, {}); }
  void down(const ipc::DownRequest& request, const ReplyPtr& reply);
  void start(const ipc::StartRequest& request, const ReplyPtr& reply);
  void stop(const ipc::StopRequest& request, const ReplyPtr& reply);
  void restart(const ipc::RestartRequest& request, const ReplyPtr& reply);
  void wait(const ipc::WaitRequest& request, const ReplyPtr& reply);
  void kill(const ipc::KillRequest& request, const ReplyPtr& reply);
  void status(const ipc::StatusRequest& request, const ReplyPtr& reply);
  void watch(const ipc::WatchRequest& request, const ReplyPtr& reply);
  void logs(const ipc::LogsRequest& request, const ReplyPtr& reply);
  void config_check(const ipc::ConfigCheckRequest& request, const ReplyPtr& reply);
  void forget(const ipc::ProjectForgetRequest& request, const ReplyPtr& reply);
  void list(const ipc::ProjectListRequest& request, const ReplyPtr& reply);
  void stats(const ipc::StatsRequest& request, const ReplyPtr& reply);
  void top(const ipc::TopRequest& request, const ReplyPtr& reply);
  void events(const ipc::EventsRequest& request, const ReplyPtr& reply);
  void left(const ipc::LeftRequest& request, const ReplyPtr& reply);
  void inspect(const ipc::InspectRequest& request, const ReplyPtr& reply);

  /// The apps of `services` (none: of all), as they stand in the file now, which refers to the
  /// environment of `world`.
  /// @return Errc::invalid_input for one that is not an app, or where there is none.
  Result<std::vector<std::pair<std::string, cnb::AppSpec>>> apps(const ipc::ProjectPlace& place,
                                                                 const ipc::World& world,
                                                                 std::vector<std::string> services);

  /// The project that a request is about, where the table (admission.h) lets `verb` in.
  /// @return Errc::not_found with the way to bring it up; where it is going down and nothing of it
  /// is to be touched, an error that says so.
  Result<Project*> find_up(const ipc::ProjectPlace& place, ProjectVerb verb);
  ProjectState state_of(const std::string& name) const;
  /// One of its services. @return Errc::not_found with the nearest name.
  static Result<const Supervisor::Unit*> find_service(Project& project, const std::string& name);

  Project* find(const std::string& name);
  /// Images that services of projects which are up name, each with the folder that relative ones
  /// start in.
  std::set<std::pair<std::string, std::string>> images() const;
  /// The containers of a project that run.
  std::vector<NamedContainer> running_containers(const std::string& project) const;
  std::size_t count() const noexcept { return projects_.size(); }
  std::size_t running_services() const;

  /// Every project is brought down, and no other comes up any more; `done` once all are.
  void bring_all_down(std::function<void()> done);

  /// Makes again what the run and state folders have to hold, where somebody has deleted that.
  Result<void> write_back();

  /// Reads the run folder. @return what could not be read, for the log.
  std::vector<std::string> restore();
  /// After restore and adoption: what should run and does not is started.
  void settle(const std::map<std::string, Project::Adopted>& adopted);

 private:
  /// A project's file with all that it names, as an `up` would take it. Whatever `up`, `build` and
  /// `config check` refuse of the file and its surroundings is refused here, and only here. Changes
  /// nothing.
  struct Prepared {
    project::LoadedProject loaded;
    std::map<std::string, int> ports;  ///< that were chosen
    project::Resolved resolved;
    std::shared_ptr<const project::UserContext> here;  ///< the environment of the request
    std::shared_ptr<const project::UserContext>
        user;                    ///< the one that counts: the captured one, or `here`
    project::Problems problems;  ///< when there are any, only they and `loaded.name` are of use
    std::vector<project::AskedImage> asked_images;  ///< those that are not here
    Wishes wishes;  ///< of the request, and what an earlier `up` has left to be said
  };
  struct How {
    bool refresh = false;      ///< the environment of `world` counts, not the captured one
    bool images_tell = false;  ///< images that are needed for their ports have been fetched
    std::vector<std::string> services = {};  ///< that are wanted; empty: all
    Wishes wishes = {};
  };
  Result<Prepared> prepare(const ipc::ProjectPlace& place, const ipc::World& world,
                           const How& how) const;
  /// What images answer is put into `prepared.loaded`, and into `input` which of them are not here.
  void ask_images(Prepared& prepared, project::ResolveInput& input, const How& how) const;
  /// The project's file, checked, with the networks of its services decided.
  Result<project::LoadedProject> load(project::ProjectRef ref) const;
  static void refuse(const ReplyPtr& reply, const project::Problems& problems);
  Project* find_staying(const std::string& name) const;
  Project::Deps project_world();
  void make_ready(Project& project);
  Result<std::string> name_of(const ipc::ProjectPlace& place) const;
  void bring_down(Project& project, bool volumes, bool kill = false);
  void on_quiet(const std::string& name);
  void remove_what_is_left(const std::string& name);
  void is_down(const std::string& name, const Result<void>& removed);
  void tell_if_all_down();
  struct Wait;
  void answer_when(Project& project, const Wait& wait);
  using OnBuilt = std::function<Result<void>(Project&, const RunningApp&, const Json& content)>;
  void build_and_answer(Project& project, const std::vector<RunningApp>& apps, OnBuilt on_built,
                        Wait wait);
  Result<std::set<std::string>> services_of(Project& project,
                                            const std::vector<std::string>& names);
  Result<std::map<std::string, int>> choose_ports(const project::LoadedProject& loaded,
                                                  const project::LowPorts& low,
                                                  const Project* present) const;
  /// What an `up` has waited for, before it began again.
  struct Looked {
    bool images = false;  ///< those that tell of ports have been fetched
    bool ports = false;   ///< what running services publish in addition has been found free
  };
  void bring_up(const ipc::UpRequest& request, const ReplyPtr& reply, Looked looked);
  bool image_changed(const std::string& project, const std::string& dir,
                     const project::ServiceConfig& config) const;
  void pull_first(const ipc::UpRequest& request, const ReplyPtr& reply, const Prepared& prepared);
  /// What its user is told, once, where containers stay on the host's network; else empty.
  std::string host_notice(const project::LoadedProject& loaded);
  void note_up(const Project& project);
  std::set<std::string> unmanaged_projects() const;

  Deps deps_;
  ProjectRegistry registry_;
  EventLog events_;
  std::map<std::string, std::unique_ptr<Project>> projects_;
  /// A project that is going down: its services are being stopped, or what it leaves is being
  /// removed; the latter also of one that was not up (down --volumes).
  struct Leaving {
    bool volumes = false;  ///< are wanted gone; perhaps since their removal began
    std::vector<std::function<void(const Result<void>& removed)>> after;
    std::vector<std::pair<ipc::UpRequest, ReplyPtr>> ups;  ///< wait for its end
  };
  std::map<std::string, Leaving> leaving_;
  bool all_leave_ = false;
  std::vector<std::function<void()>> when_all_down_;
  OpenPorts open_ports_;
};

}  // namespace locald::server
