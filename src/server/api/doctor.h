#pragma once
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "base/strings.h"
#include "net/cni/conflist.h"
#include "runtime/runtime_program.h"
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
  std::string packaged_runtime = runtime::kPackagedRunc;  ///< as for runtime::find_runtime
  bool root = false;
  /// Makes (or has) the user namespace; its id map and notice. Not called as root.
  struct IdMap {
    std::string map_id, notice;
  };
  std::function<Result<IdMap>()> user_namespace;
  /// Makes a project's network and gives it up. Not there: it is not tried.
  std::function<NetworkTrial(const std::stop_token&)> network;
  std::vector<std::string> cni_path = split(net::kCniPath, ':');  ///< folders of CNI plugins
  /// In front of /proc/sys, /sys, /dev, /usr/lib and dpkg's records: tests put a false one here.
  std::string sysroot;
};

/// Runs all checks. Blocking, some 150 ms: a job. Changes nothing that lasts.
std::vector<Check> run_doctor(const DoctorInputs& inputs, const std::stop_token& stop);

}  // namespace locald::server
