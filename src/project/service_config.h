#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "base/sys/path_judge.h"
#include "builder/volume_text.h"
#include "cnb/app.h"
#include "project/port_text.h"
#include "project/project_spec.h"
#include "project/resolve/late_text.h"

/// What a service is once everything has been looked up: plain text, absolute
/// paths, chosen ports. Two equal configurations need no restart: what is
/// compared is canonical_text.h, what the run folder keeps is to_json() (0600:
/// it holds environments).
namespace locald::project {

/// The world of the client that ran `up`: what host services get, and what `${VAR}` reads.
struct UserContext {
  std::map<std::string, std::string> env;
  unsigned umask = 022;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>
      rlimits;                                ///< "NOFILE" -> {soft, hard}; ~0: no limit
  std::vector<std::string> login_files = {};  ///< for registries (oci/registry/login_file.h)

  Json to_json() const;
  static Result<UserContext> from_json(const Json& json);
  friend bool operator==(const UserContext&, const UserContext&) = default;
};

struct HealthConfig {
  HealthSpec::Kind kind = HealthSpec::Kind::none;
  /// http, tcp: an address or "localhost". In the project's networks, "": its own address;
  /// "localhost": its own loopback; or another service's name.
  std::string host;
  int port = 0;
  std::string path;               ///< http: what is asked for, with its query
  std::vector<std::string> argv;  ///< exec
  std::string pattern;            ///< log
  Milliseconds interval{2000}, timeout{1000}, start_period{30000};
  int retries = 3;

  bool any() const noexcept { return kind != HealthSpec::Kind::none; }
};

/// A service's place in a network, which is described in full: two services may know it from
/// different versions of the file.
struct MemberConfig {
  std::string network;
  std::vector<std::string> aliases;
  std::string address;  ///< chosen by the file
  std::string subnet;   ///< of the network; empty: one of the project's range
  bool internal = false, ipv6 = false;
  std::vector<std::string> allow;  ///< link-local networks
  std::string cni;                 ///< of a network of CNI plugins: its configuration list
  std::string outbound;            ///< "pasta", "none"; empty: by locald-netd

  friend bool operator==(const MemberConfig&, const MemberConfig&) = default;
};

using builder::VolumeConfig;
using WatchConfig = WatchSpec;

struct DependencyConfig {
  std::string service;
  DependsCondition condition = DependsCondition::started;  ///< never `ready`
};

struct ServiceConfig {
  std::string name;
  ServiceKind kind = ServiceKind::exec;
  std::vector<std::string> argv;  ///< container: empty = the image's; cnb: the launcher's words
  std::string cwd;                ///< container: empty = the image's
  std::map<std::string, std::string> env;  ///< what the file adds
  std::vector<std::string> unset;          ///< names taken away (an env file's bare NAME)
  int port = 0;                            ///< that the host reaches it by; 0: none
  bool auto_port = false;                  ///< `port` was chosen by us
  std::string network = "host";            ///< or "none", "project", "service:NAME"
  std::vector<MemberConfig> networks;      ///< project: at least one
  int container_port = 0;                  ///< not host: where it listens; 0: as its image says
  std::vector<PortConfig> ports;           ///< project: published; none is left to choose
  std::vector<int> host_access;  ///< project: ports of the host's loopback that it reaches
  std::vector<DependencyConfig> depends_on;
  HealthConfig health;
  RestartSpec restart;
  int stop_signal = 0;  ///< 0: the image's, else SIGTERM
  Milliseconds stop_timeout{10000};
  bool tty = false;
  bool once = false;  ///< not of canonical_text(): it says when it is started, not what runs

  std::string image;
  PullPolicy pull = PullPolicy::missing;
  std::vector<std::string> entrypoint;  ///< empty = the image's
  std::vector<VolumeConfig> volumes;
  std::string user;
  std::uint64_t memory = 0;
  double cpus = 0;
  int pids = 0;
  bool init = false;
  std::string hostname;        ///< empty: the service's name
  bool read_only = false;      ///< the root file system
  std::uint64_t shm_size = 0;  ///< of /dev/shm, in bytes; 0: the default
  std::vector<std::string> cap_add, cap_drop;
  std::map<std::string, std::vector<std::int64_t>> ulimits;  ///< "nofile": {soft, hard}; -1: none

  // kind cnb
  std::optional<cnb::AppSpec> app;  ///< proxies and certificates are the user's, at the build
  std::string process;              ///< empty = the app's default
  std::vector<std::string> args;
  std::map<std::string, std::string> bindings;  ///< of the running app: name -> folder

  /// Not of canonical_text(): a change of it is no change of what runs.
  std::vector<WatchConfig> watch;

  std::vector<LateText> late;  ///< not in to_json(): it repeats what the texts above say

  Json to_json() const;
  static Result<ServiceConfig> from_json(const Json& json);
};

/// Those of `volumes` that are the host's and that the service's container can write to.
std::vector<SharedFolder> shared_folders(const std::string& project, const std::string& service,
                                         const std::vector<VolumeConfig>& volumes);

}  // namespace locald::project
