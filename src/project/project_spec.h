#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/node/text_problem.h"
#include "oci/ref/pull_policy.h"

/// A project as a front end read it: plain values that remember where they
/// stood. Nothing past the front ends knows TOML, and nothing here has been
/// looked up yet: a Text still holds its `${…}` (resolve.h turns it into text).
namespace locald::project {

using locald::SourcePos;
using Problem = TextProblem;
using Problems = TextProblems;

/// So many problems of one file are told; who has more reads the first ones.
inline constexpr std::size_t kMaxProblems = 100;
/// As many notices are told; each is this long at most, and so is a problem.
inline constexpr std::size_t kMaxNotices = 100;
inline constexpr std::size_t kMaxNotice = 2000;  // bytes

struct Text {
  std::string raw;  ///< `${…}` not yet replaced
  SourcePos at;
  bool empty() const noexcept { return raw.empty(); }
};
/// A text that stands for itself: nothing in it is replaced.
Text literal_text(std::string_view text, SourcePos at);

using Milliseconds = std::chrono::milliseconds;

enum class ServiceKind : std::uint8_t { exec, container, cnb };
std::string_view to_string(ServiceKind kind) noexcept;

/// A string runs in `sh -c`, an array is executed as it is.
struct CommandSpec {
  bool shell = false;
  std::vector<Text> words;  ///< one where `shell`
  bool empty() const noexcept { return words.empty(); }
};

enum class DependsCondition : std::uint8_t {
  ready,  ///< of a plain list: healthy where there is a check, else started
  started,
  healthy,
  completed,  ///< ended with exit code 0
};

struct DependencySpec {
  std::string service;
  DependsCondition condition = DependsCondition::ready;
  SourcePos at;
  bool implied = false;  ///< not of `depends_on`: the service is in the other's network
};

struct HealthSpec {
  enum class Kind : std::uint8_t { none, http, tcp, exec, log, notify };
  Kind kind = Kind::none;
  Text target;  ///< http: path or URL; tcp: "", "PORT" or "HOST:PORT"; log: regular expression
  CommandSpec command;  ///< exec
  Milliseconds interval{2000}, timeout{1000}, start_period{30000};
  int retries = 3;
  SourcePos at;
};

/// A check that the image has, as a file may change it. Filled in before values are looked up
/// (docker_health.h), where `wanted`.
struct ImageHealthSpec {
  bool wanted = false;
  std::optional<Milliseconds> interval, timeout, start_period;
  std::optional<int> retries;
  SourcePos at;
};

enum class RestartMode : std::uint8_t { no, on_failure, always, unless_stopped };

struct RestartSpec {
  RestartMode mode = RestartMode::no;
  int max =
      0;  ///< restarts within `window` (0: since the last success) before giving up; 0: no limit
  Milliseconds window{0};
};

using oci::PullPolicy;

/// How the app of a type = "cnb" service is built; the services of one table share it.
struct BuildSpec {
  Text path;                ///< the source's folder; empty: the project's
  Text builder, run_image;  ///< images; empty: what project.toml, the builder say
  std::vector<std::pair<std::string, Text>> env;       ///< for buildpacks
  std::vector<std::pair<std::string, Text>> bindings;  ///< for buildpacks: name -> folder
  Text exec_env;
  std::optional<bool> host_ca;  ///< absent: where the host has certificates of its own
  bool strict = false;
  Milliseconds timeout{3'600'000};
  std::vector<Text> live;  ///< folders of the source that are bound over the built app
};

struct VolumeSpec {
  Text text;            ///< the short form, "SOURCE:TARGET:OPTIONS"; empty: the long one
  Text source, target;  ///< an empty source: without a name
  bool read_only = false;
  bool create = false;  ///< a source of the host's that is not there becomes a folder
  SourcePos at;
};

/// A limit of each process of a container: setrlimit(2).
struct UlimitSpec {
  std::string name;                 ///< "nofile"
  std::int64_t soft = 0, hard = 0;  ///< -1: no limit
  SourcePos at;
};

/// Where a service's limits of resources are written; line 0: not.
struct LimitPlaces {
  SourcePos memory, cpus, pids;
};

/// Files whose change restarts a service: patterns as in a .gitignore.
struct WatchSpec {
  std::vector<std::string> paths, ignore;
  friend bool operator==(const WatchSpec&, const WatchSpec&) = default;
};

/// What `network` says of a service, or of all.
struct NetworkUse {
  enum class Mode : std::uint8_t { unset, host, none, project, service };
  Mode mode = Mode::unset;
  std::string service;  ///< service: whose network it shares
  SourcePos at;
};

/// A service's place in a network.
struct MemberSpec {
  std::string network;
  std::vector<Text> aliases;
  Text address;
  SourcePos at;
};

/// The network that services are in where they name none.
inline constexpr const char* kDefaultNetwork = "default";

/// A network of the project's: [networks.NAME].
struct NetworkSpec {
  /// By which way connections leave it.
  enum class Outbound : std::uint8_t {
    relay,  ///< TCP and DNS, by locald-netd
    pasta,  ///< UDP and ICMP too
    none,   ///< but to what of the host is the project's
  };
  std::string name;
  SourcePos at;
  bool internal = false, ipv6 = false;
  Text subnet;
  std::vector<Text> allow;  ///< link-local networks that it reaches
  Outbound outbound = Outbound::relay;
  SourcePos outbound_at;  ///< line 0: not written
  Text cni;               ///< file of a configuration list; its plugins make the network's links
};

struct ServiceSpec {
  std::string name;  ///< of a process type: "TABLE/TYPE"
  SourcePos at;
  ServiceKind kind = ServiceKind::exec;

  CommandSpec command;
  Text workdir;
  bool auto_port = false;
  int port = 0;  ///< 0: none
  SourcePos port_at;
  NetworkUse network;
  std::vector<MemberSpec> networks;
  std::vector<Text> ports;
  std::vector<std::pair<std::string, Text>> env;
  std::vector<std::string> env_unset;  ///< names that it is not to have, also not of the image
  std::vector<Text> env_file;
  std::vector<DependencySpec> depends_on;
  HealthSpec health;
  ImageHealthSpec image_health;  ///< where `health` is none
  RestartSpec restart;
  int stop_signal = 0;  ///< 0: the image's, else SIGTERM
  Milliseconds stop_timeout{10000};
  bool tty = false;
  bool once = false;  ///< runs to its end; who depends on it waits for `completed`
  std::vector<WatchSpec> watch;

  // type = "container"
  Text image;
  PullPolicy pull = PullPolicy::missing;
  CommandSpec entrypoint;
  int container_port = 0;  ///< 0: none
  std::vector<VolumeSpec> volumes;
  std::vector<Text> tmpfs;
  Text user;
  std::uint64_t memory = 0;  ///< bytes; 0: no limit
  double cpus = 0;           ///< 0: no limit
  int pids = 0;              ///< 0: no limit
  LimitPlaces limits_at;
  bool init = false;
  Text hostname;  ///< empty: the service's name
  bool read_only = false;
  std::uint64_t shm_size = 0;  ///< bytes; 0: 64 MiB
  std::vector<Text> cap_add, cap_drop;
  std::vector<UlimitSpec> ulimits;

  // type = "cnb", which has the ones above but image, entrypoint and container_port
  BuildSpec build;
  Text process;            ///< a process type; empty: the app's default one
  std::vector<Text> args;  ///< in place of the process type's own
  std::vector<std::pair<std::string, Text>> bindings;  ///< of the running app: name -> folder

  /// The port that others reach it on; 0 where it has none, or it is automatic and not chosen yet.
  int any_port() const noexcept { return port != 0 ? port : container_port; }
  bool has_port() const noexcept { return auto_port || any_port() != 0 || !ports.empty(); }
  /// Or its image may tell of one (resolve/asked_images.h).
  bool may_have_port() const noexcept {
    return has_port() ||
           (kind == ServiceKind::container && network.mode == NetworkUse::Mode::project);
  }
};

/// What is waited for in fact; never `ready`. @param target  the service depended on, or null
DependsCondition condition_of(const DependencySpec& dependency, const ServiceSpec* target) noexcept;

struct ProjectSpec {
  std::string name;  ///< empty: the folder's name decides
  SourcePos name_at;
  std::string file;                     ///< absolute path of the file it was read from
  std::vector<std::string> more_files;  ///< that it was read from too: SourcePos::file 1 and on
  std::string dir;                      ///< absolute; relative paths in the file start here
  NetworkUse network;                   ///< of services that say nothing
  std::vector<NetworkSpec> networks;    ///< in the order of their names
  std::vector<int> host_access;         ///< ports of the host's loopback that containers reach
  int low_ports = 0;                    ///< how far published ports that need privileges move up
  std::vector<ServiceSpec> services;    ///< in the order of their names
  bool compose = false;                 ///< of a compose file: services may be called "Web.1"

  const ServiceSpec* find(const std::string& service) const;
  /// The file that `at` is in.
  const std::string& file_of(SourcePos at) const;
};

/// [a-z0-9][a-z0-9_-]{0,62}: names of projects, services and volumes.
bool valid_name(std::string_view name) noexcept;
/// The same, or two of them with a slash between: "api/worker".
bool valid_service_name(std::string_view name) noexcept;
/// [a-zA-Z0-9][a-zA-Z0-9._-]{0,62}: names of services of compose files.
bool valid_compose_name(std::string_view name) noexcept;
/// A name by which a service is looked up beside its own: letters, digits, -, _ and dots, which
/// neither begin nor end it; at most 253 bytes. Spec: RFC 1035 §2.3.4.
bool valid_alias(std::string_view name) noexcept;
/// The service's name where no slash may stand, as in file and host names: "api.worker", which no
/// other service has.
std::string slug(std::string_view service);

}  // namespace locald::project
