#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop/event_loop.h"
#include "base/paths.h"
#include "ipc/messages/look.h"
#include "project/resolve/resolve.h"
#include "server/http/reply.h"
#include "server/networks/networks.h"
#include "server/projects/app_builds.h"
#include "server/projects/file_watch.h"
#include "server/projects/own_changes.h"
#include "server/projects/refreshed_values.h"
#include "server/projects/wishes.h"
#include "server/supervise/launcher.h"
#include "server/supervise/supervisor.h"

namespace locald::server {

/// One project that has been brought up, until it is down again: its services, who
/// waits for them, and what is written down of it in the run folder:
///
///     projects/NAME.json        what `up` resolved: configurations and environments; at each up
///     projects/NAME.state.json  what is wanted, and ends that no instance tells of any more; at
///                               each change of these
///
/// so that a new server goes on where this one stopped. Loop thread only.
class Project {
 public:
  struct Deps {
    EventLoop& loop;
    Launcher& launcher;
    const Paths& paths;
    BuildApp build;
    /// Nothing of it runs any more; what it leaves on disk and close() are the receiver's. By post.
    std::function<void(const std::string& name)> quiet;
    Networks* networks = nullptr;  ///< null: there are none but the host's
    JobPool* jobs = nullptr;       ///< null: no files are watched
    /// Takes each change of states, and notices.
    std::function<void(ipc::ChangeEvent)> happened = {};
  };
  Project(Deps deps, std::string name, std::string dir, std::string file);
  ~Project();

  const std::string& name() const noexcept { return name_; }
  const std::string& dir() const noexcept { return dir_; }
  const std::string& file() const noexcept { return file_; }
  Supervisor& supervisor() noexcept { return supervisor_; }
  const Supervisor& supervisor() const noexcept { return supervisor_; }
  bool going_down() const noexcept { return going_down_; }
  bool remove_volumes() const noexcept { return remove_volumes_; }

  /// Of a service that is part of the project; null also for one that `up` has removed and that is
  /// still being stopped: nobody may ask anything of it any more.
  const Supervisor::Unit* find(const std::string& service) const;

  /// What the last `up` that was allowed to captured of `name`, for `service`. Of a record of an
  /// earlier version, which does not tell: what the service's whole environment has.
  std::optional<project::CapturedValue> captured(const std::string& service,
                                                 const std::string& name) const;
  /// The environment that what is started takes, as captured; null before the first capture().
  std::shared_ptr<const project::UserContext> user() const;
  /// From now on the above are these; written down by the next apply().
  void capture(project::Capture capture, std::shared_ptr<const project::UserContext> user);

  /// What the last `up` asked for by its options; written down by the next apply().
  const Wishes& wishes() const noexcept { return wishes_; }
  void remember(Wishes wishes) { wishes_ = std::move(wishes); }

  /// Its file is a compose file.
  bool compose() const noexcept { return compose_; }

  /// Whether `notice` was not told of the project before, by this server.
  bool tell_once(const std::string& notice) { return told_.insert(notice).second; }

  RefreshedValues& refreshed() noexcept { return refreshed_; }

  /// Ports of services with port = "auto", as chosen before.
  std::map<std::string, int> auto_ports() const;

  /// Makes the project what `configs` says, with `user` for what is new (or, with `refresh`, for
  /// all of `selected`; else each keeps the one that it has):
  /// changed services are restarted, vanished ones removed, `selected` ones started. Idempotent.
  /// Written down before anything starts. @return the services that `up` has to wait for.
  /// @param renewed  Those of `selected` that are restarted though nothing in `configs` changed:
  /// their app was rebuilt.
  /// @param again  Those of `selected` that have completed and are started all the same; each with
  /// what changes() is to say.
  Result<std::set<std::string>> apply(const std::map<std::string, project::ServiceConfig>& configs,
                                      const std::set<std::string>& selected,
                                      std::shared_ptr<const project::UserContext> user,
                                      const std::set<std::string>& renewed = {},
                                      bool refresh = false,
                                      const std::map<std::string, std::string>& again = {});

  /// What each service is to be after such an apply().
  Networks::Services after(const std::map<std::string, project::ServiceConfig>& configs,
                           const std::set<std::string>& selected) const;
  /// Ports that services which run will need then and do not have: to be tried before one of them
  /// stops for it.
  PortTrial ports_to_try(const std::map<std::string, project::ServiceConfig>& configs,
                         const std::set<std::string>& selected) const;

  /// What the last apply() made of each service: "started", "unchanged", "recreated: env, image",
  /// "ports changed: now 127.0.0.1:8081->80".
  const std::map<std::string, std::string>& changes() const noexcept { return changes_; }
  /// Of those, the services that run on and publish other ports from now on.
  const std::set<std::string>& republished() const noexcept { return republished_; }

  /// Counts the times that somebody set out to change the project: who comes back later sees
  /// whether the world is still the one that it was.
  std::uint64_t begin_update() noexcept { return ++update_; }
  std::uint64_t last_update() const noexcept { return update_; }
  /// Nobody has stopped it.
  bool wanted(const std::string& service) const { return !unwanted_.contains(service); }

  /// Builds an app while its services go on, which are wanted from here on. `done` comes once:
  /// Errc::cancelled after bring_down().
  void build(const RunningApp& app, std::function<void(Result<Json> content)> done);
  /// False once this object is gone, for those who come back to it later.
  std::shared_ptr<const bool> life() const noexcept { return alive_; }

  /// ended: nothing of it runs or will by itself; quiet: nothing of the service is left; down: of
  /// the project.
  enum class Until { started, ready, ended, quiet, down };
  struct Outcome {
    std::map<std::string, std::string> failed;  ///< service -> why
    std::set<std::string> pending;              ///< non-empty: the time was over
    bool brought_down = false;                  ///< what was waited for will not come
  };
  /// Calls `done` once, by post: when each of `services` has come to its end of waiting (those of
  /// `completing`: has ended with success), when the
  /// time is over, or when the project goes: bring_down() ends what waits for services to come up,
  /// close() all.
  void wait(std::set<std::string> services, Until until,
            std::optional<project::Milliseconds> timeout, std::function<void(Outcome)> done,
            std::set<std::string> completing = {});

  /// What a wait whose time is over has found instead: ": REASON", or " (STATE)".
  std::string lateness(const std::string& service, Until until) const;

  void start(const std::set<std::string>& services);
  void stop(const std::set<std::string>& services);
  void restart(const std::set<std::string>& services);
  /// Stops everything, in reverse order; Deps::quiet tells the end.
  /// `kill` (also later, while it goes down): all at once.
  void bring_down(bool volumes, bool kill = false);
  /// After Deps::quiet: forgets what was written down and tells those who watch or wait.
  void close();

  /// Sends state, progress and notice events until the reply's client hangs up or `unsubscribe`.
  /// @param services  whose; empty: all. @param present  begins with the present states.
  using Subscription = std::uint64_t;
  Subscription subscribe(ReplyPtr reply, std::set<std::string> services, bool present);
  void unsubscribe(Subscription id);
  /// Those who watch until the project is down.
  void watch(const ReplyPtr& reply);
  void notice(const std::string& service, const std::string& text);
  /// The service, in the life of that shim, can be reached from other hosts: a notice, and the
  /// reason that status shows.
  void set_exposed(const std::string& service, int shim_pid, const std::string& text);

  std::vector<ipc::ServiceStatus> status() const;
  std::optional<ipc::ServiceStatus> status(const std::string& service) const;

  /// Makes again what the run folder has to hold of it, where somebody has deleted that.
  Result<void> write_back();

  /// From the run folder; services are not started yet.
  static Result<std::unique_ptr<Project>> restore(Deps deps, const std::string& name);
  /// Services of which an instance was found, and what each was started with:
  /// project::configuration_id(), "" where an earlier locald wrote down none.
  using Adopted = std::map<std::string, std::string>;
  /// After restore and the adoption of what runs: starts what should run and does not, restarts
  /// what the earlier server was to restart, or wrote down as changed, and had not come to; goes on
  /// going down.
  void settle(const Adopted& adopted);

  /// Called each time a service has come to run: listeners not on loopback are looked for.
  std::function<void(const std::string& service)> on_running;

 private:
  struct Waiting {
    std::set<std::string> services;  ///< all that were asked for
    std::set<std::string> pending;   ///< of them: not come to their end of waiting
    std::set<std::string> completing;
    Until until;
    Outcome outcome;
    std::function<void(Outcome)> done;
    EventLoop::Handle timer;
  };
  struct Subscriber {
    ReplyPtr reply;
    std::set<std::string> services;
  };

  void changed(const std::string& service);
  void flush();
  void check(const std::string& service);
  void finish(std::uint64_t id);
  void end_waits(bool all);
  void taken_up(const std::set<std::string>& services);
  void send(const JsonText& event, const std::string& service);
  void tell_change(const std::string& service);
  void send_progress(const std::string& service, ipc::ProgressEvent progress);
  void check_down();
  Result<void> define_networks();
  void adopt_networks();
  void tell_network(const std::string& service);
  void watch_files(const std::string& service);
  void on_files(const std::string& service, const std::set<std::string>& paths);
  void watch_again(const std::set<std::string>& services);
  void restart_now(const std::set<std::string>& services);
  Result<void> save_configs() const;
  void save_state();
  std::string record(const std::string& service) const;
  /// `text` in the words of the project's file.
  std::string worded(const std::string& text) const;
  std::uint64_t next_segment(const std::string& service) const;

  Deps deps_;
  std::string name_, dir_, file_;
  bool compose_;
  Supervisor supervisor_;
  AppBuilds builds_;
  std::set<std::string> vanished_;  // from the file: removed once quiet
  std::set<std::string> unwanted_;  // stopped by the user
  std::set<std::string> told_;      // notices
  std::map<std::string, std::string> changes_;
  std::set<std::string> republished_;
  std::map<std::string, std::pair<int, std::string>>
      exposed_;  // service -> life's shim, what is said of it
  std::map<std::uint64_t, Waiting> waits_;
  std::map<Subscription, Subscriber> subscribers_;
  std::vector<ReplyPtr> watchers_;
  std::uint64_t next_id_ = 1, update_ = 0;
  struct Watched {
    std::string dir;
    std::vector<project::WatchConfig> what;
    std::unique_ptr<FileWatch> files;
    OwnChanges own;
    std::string paused;  // why `files` is none
  };
  std::map<std::string, Watched> watched_;
  std::set<std::string> dirty_;
  bool flush_posted_ = false;
  bool going_down_ = false, remove_volumes_ = false, is_down_ = false;
  std::optional<project::Capture>
      captured_;  // nullopt: never, or by a version that wrote down none
  std::shared_ptr<const project::UserContext> user_;
  RefreshedValues refreshed_;
  Wishes wishes_;
  std::map<std::string, std::string> records_;  // what the state file says of each service
  Json restored_;                               // the state file of an earlier server
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace locald::server
