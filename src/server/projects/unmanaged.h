#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/loop/event_loop.h"
#include "base/paths.h"
#include "ipc/messages/project.h"
#include "runtime/instance.h"
#include "server/http/reply.h"

namespace locald::server {

/// Services that run although nothing says how they are to be run: the record of their project was
/// damaged, or deleted with the run folder while no server was there. They are shown, their logs
/// can be read, and they can be ended; only `down` and a new `up` make managed ones of them, for
/// their environment is lost. Loop thread only.
class Unmanaged {
 public:
  struct Deps {
    EventLoop& loop;
    const Paths& paths;
    runtime::Instance::Clean clean;
    /// Projects::down, for what else there is of a project: sessions, records, data.
    std::function<void(const ipc::DownRequest& request, const ReplyPtr& reply)> down;
    std::function<void(const std::string&)> log;
  };
  explicit Unmanaged(Deps deps) : deps_(std::move(deps)) {}

  void adopt(const std::string& project, const std::string& service,
             std::unique_ptr<runtime::ServiceHandle> live);

  /// The project that a request means, if something of it is here.
  std::optional<std::string> meant_by(const ipc::ProjectPlace& place) const;
  // What can be done for such a project; `refuse` answers everything else.
  void down(const std::string& project, const ipc::DownRequest& request, const ReplyPtr& reply);
  void stop(const std::string& project, const ipc::StopRequest& request, const ReplyPtr& reply);
  void kill(const std::string& project, const ipc::KillRequest& request, const ReplyPtr& reply);
  void status(const std::string& project, const ipc::StatusRequest& request, const ReplyPtr& reply);
  void logs(const std::string& project, const ipc::LogsRequest& request, const ReplyPtr& reply);
  void refuse(const std::string& project, const ReplyPtr& reply) const;

  /// Makes again what the run folder has to hold of them.
  void write_back();
  bool any(const std::string& project) const;
  std::set<std::string> projects() const;
  std::size_t running() const noexcept { return all_.size(); }
  /// The names of the project's services here.
  std::vector<std::string> services(const std::string& project) const;
  /// As `status --json` has them.
  std::vector<ipc::ServiceStatus> status(const std::string& project) const;

  /// Why start and its like are refused, and what to do. Only where any() is true.
  Error refusal(const std::string& project) const;

  /// Ends those (empty: all of the project) and calls `done` when nothing of them is left.
  void end(const std::string& project, const std::set<std::string>& services, bool at_once,
           std::function<void(Result<void>)> done);
  /// All of every project.
  void stop_all(std::function<void()> done);

 private:
  struct Entry {
    std::string project, service, kind;
    runtime::Instance instance;
    std::vector<std::function<void(Result<void>)>> when_gone = {};
    bool stopping = false;
  };
  /// end() by the user's word: `reply` hears what becomes of each.
  void end_for(const ReplyPtr& reply, const std::string& project,
               const std::set<std::string>& services, std::function<void(Result<void>)> done);
  std::string why(const std::string& project) const;

  Deps deps_;
  std::map<std::string, Entry> all_;  // by instance
};

/// Removes the records of a project that is down: also those that were set aside, which hold
/// environments.
void remove_records(const Paths& paths, const std::string& project);
/// Where a record that cannot be read is set aside.
std::string aside(const std::string& record);

}  // namespace locald::server
