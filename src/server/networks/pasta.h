#pragma once
#include <set>
#include <string>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::server {

/// The program pasta (package passt), which carries UDP and ICMP between a sandbox and the host's
/// network. One of a project, which outlives the server as netd does; known by its record in the
/// state folder. Thread-compatible; blocks.
class Pasta {
 public:
  struct Start {
    const Paths& paths;
    std::string program;  ///< find_pasta()
    std::string project;
    std::string link;         ///< with the host's addresses, and a default route by it
    int sandbox = -1;         ///< borrowed
    int user_namespace = -1;  ///< borrowed; -1: as root
  };
  /// @return once its link is there. On error nothing of it is left.
  static Result<Pasta> start(const Start& start);
  /// The one that an earlier server has started, proven (R-PID).
  /// @return Errc::not_found: there is none, or it has ended.
  static Result<Pasta> find(const Paths& paths, const std::string& project);
  /// Ends the one that the project has.
  static void end_left(const Paths& paths, const std::string& project);
  /// The projects that may have one.
  static std::set<std::string> projects(const Paths& paths);

  /// Readable once it has ended.
  int pidfd() const noexcept { return pidfd_.get(); }
  int pid() const noexcept { return pid_; }
  /// Ends it, waits for that (a second at most), and removes its record.
  void end();

 private:
  Pasta(std::string record, int pid, UniqueFd pidfd)
      : record_(std::move(record)), pid_(pid), pidfd_(std::move(pidfd)) {}

  std::string record_;
  int pid_;
  UniqueFd pidfd_;
};

/// pasta, where it is and can be used.
/// @param search_path  as $PATH
/// @return Errc::not_found, Errc::denied: what is missing, with the package or the device.
Result<std::string> find_pasta(const std::string& search_path);

}  // namespace locald::server
