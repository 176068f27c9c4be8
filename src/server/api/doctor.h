#pragma once
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "server/networks/network_trial.h"

/// What locald needs of this machine, tried out rather than guessed from
/// versions; each missing piece with the command that repairs it.
namespace locald::server {

struct Check {
  enum class Status : std::uint8_t { ok, warn, fail };
  std::string name;  ///< "runtime", "user-namespaces", …
  Status status = Status::ok;
  std::string message;
  std::string hint;  ///< what to do; empty when ok
};
std::string_view to_string(Check::Status status) noexcept;

struct DoctorInputs {
  Paths paths;
  std::string runtime_name = "runc";  ///< a name that is looked for, or a path
  std::string search_path;            ///< PATH of the server, with the sbin folders
  bool root = false;
  /// Makes (or has) the user namespace; its id map and notice. Not called as root.
  struct IdMap {
    std::string map_id, notice;
  };
  std::function<Result<IdMap>()> user_namespace;
  /// Makes a project's network and gives it up. Not there: it is not tried.
  std::function<NetworkTrial(const std::stop_token&)> network;
  std::string sysroot;  ///< in front of /proc/sys, /sys, /dev, /usr/lib: tests put a false one here
};

/// Runs all checks. Blocking, some 150 ms: a job. Changes nothing that lasts.
std::vector<Check> run_doctor(const DoctorInputs& inputs, const std::stop_token& stop);

/// The holes that a version of runc is known to have; empty for none, or when the text is not a
/// version. "1.1.5+ds1" is a distribution's and may be patched.
std::string known_runc_holes(const std::string& version);

}  // namespace locald::server
