#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/netd_client.h"

namespace locald::server {

/// A locald-netd that runs: one of a project, which outlives the server as shims do. It is known by
/// RUN/net/<project>/ (its control sockets, and netd.json: its pid), and by the copy of netd.json in
/// the state folder, for where the run folder has been deleted. Thread-compatible; blocks.
class Netd {
 public:
  struct Start {
    const Paths& paths;
    std::string program;  ///< path of locald-netd
    std::string project;
    int sandbox = -1;         ///< borrowed
    int user_namespace = -1;  ///< borrowed; -1: as root
    /// The one whose place it takes, which is noted beside it until it has ended; null: of none.
    const Netd* before = nullptr;
  };
  /// @return once it is confined and answers. On error nothing of it is left, and the one before
  ///         stays as it was.
  static Result<Netd> start(const Start& start);
  /// The one that an earlier server has started, proven (R-PID).
  /// One whose place it has taken, and that a server which has ended since did not retire, is
  /// retired now.
  /// @return Errc::not_found: there is none, or it has ended.
  static Result<Netd> find(const Paths& paths, const std::string& project);
  /// Ends each that the project has, whether it can be spoken to or not, as end() does.
  static void end_all(const Paths& paths, const std::string& project);
  /// The projects that may have one.
  static std::set<std::string> projects(const Paths& paths);

  /// Readable once it has ended.
  int pidfd() const noexcept { return pidfd_.get(); }
  int pid() const noexcept { return pid_; }
  net::NetdClient& connections() noexcept { return connections_; }
  net::NetdClient& outside() noexcept { return outside_; }

  /// It takes no more connections, and ends with the last that it has; one that does not do so is
  /// ended.
  void retire();
  /// Ends it and those before it, waits for that (a second at most), and removes its folder.
  void end();

 private:
  static Result<Netd> launch(const Start& start);
  static Result<Netd> open(const Paths& paths, const std::string& project, bool continuing);
  Netd(const Paths& paths, const std::string& project, int pid, UniqueFd pidfd,
       net::NetdClient connections, net::NetdClient outside)
      : folder_(paths.network(project)),
        record_(paths.network_record(project)),
        pid_(pid),
        pidfd_(std::move(pidfd)),
        connections_(std::move(connections)),
        outside_(std::move(outside)) {}

  std::string folder_, record_;
  int pid_;
  UniqueFd pidfd_;
  UniqueFd status_;  ///< of one that has been started; until its first plan it ends with this
  net::NetdClient connections_, outside_;
};

}  // namespace locald::server
