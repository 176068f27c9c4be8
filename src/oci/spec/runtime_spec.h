#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

/// The OCI runtime spec's config.json as values: what we use of it has a name here.
///
/// What we do not use is *kept*: unknown members of an object stand in its `other`, in
/// order, and are written again, since the spec says that a reader must not fail
/// on them and a rewriter must not lose them. A known member of a wrong type is
/// refused (Errc::invalid_input naming its path, "process.user.uid: not a number").
///
/// Written: members that hold their default are left out, but for those that
/// the spec's schema requires. from_json(to_json(x)) == x. Whole numbers end at
/// 2^63 - 1, as base/json/json.h's do; larger ones are refused.
/// Spec: OCI runtime-spec 1.0.2, config.md, config-linux.md.
namespace locald::oci::spec {

using Other = Json::Object;

struct Root {
  std::string path;  ///< absolute, or relative to the bundle
  bool readonly = false;
  Other other = {};
  friend bool operator==(const Root&, const Root&) = default;
};

struct Mount {
  std::string destination;  ///< absolute, in the container
  std::string type = {};    ///< "bind" is an option, not a type: empty there
  std::string source = {};
  std::vector<std::string> options = {};
  Other other = {};
  friend bool operator==(const Mount&, const Mount&) = default;
};

struct User {
  std::uint32_t uid = 0, gid = 0;  ///< inside the container
  std::optional<std::uint32_t> umask = {};
  std::vector<std::uint32_t> additional_gids = {};
  Other other = {};
  friend bool operator==(const User&, const User&) = default;
};

struct ConsoleSize {
  std::uint32_t height = 0, width = 0;  ///< characters
  friend bool operator==(const ConsoleSize&, const ConsoleSize&) = default;
};

/// Names as the kernel spells them ("CAP_CHOWN").
struct Capabilities {
  std::vector<std::string> bounding, effective, inheritable, permitted, ambient;
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct Rlimit {
  std::string type;  ///< "RLIMIT_NOFILE"
  std::int64_t soft = 0, hard = 0;
  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

/// What runs: in config.json, and by itself in the file that `runc exec --process` reads.
struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size = {};
  User user = {};
  std::vector<std::string> args = {};
  std::vector<std::string> env = {};  ///< "K=V"
  std::string cwd = "/";
  std::optional<Capabilities> capabilities = {};
  std::vector<Rlimit> rlimits = {};
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj = {};
  Other other = {};
  friend bool operator==(const Process&, const Process&) = default;

  Json to_json() const;
  static Result<Process> from_json(const Json& object);
};

struct Namespace {
  std::string type;       ///< "pid", "mount", "ipc", "uts", "cgroup", "network", "user"
  std::string path = {};  ///< of one to join; empty: a new one
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct IdMapping {
  std::uint32_t container_id = 0, host_id = 0, size = 0;
  friend bool operator==(const IdMapping&, const IdMapping&) = default;
};

/// A rule of the devices cgroup; absent numbers mean any.
struct DeviceRule {
  bool allow = false;
  std::string type = {};  ///< "a", "b", "c"; empty: a
  std::optional<std::int64_t> major = {}, minor = {};
  std::string access = {};
  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

struct Resources {
  std::optional<std::int64_t> memory_limit = {},
                              memory_swap = {};  ///< bytes; swap counts memory and swap together
  std::optional<std::int64_t> cpu_quota = {};    ///< microseconds per period
  std::optional<std::uint64_t> cpu_period = {};  ///< microseconds
  std::optional<std::int64_t> pids_limit = {};
  std::vector<DeviceRule> devices = {};
  Other other = {};  ///< unknown members of `memory`, `cpu` and `pids` are refused instead: nobody
                     ///< we read writes them
  friend bool operator==(const Resources&, const Resources&) = default;
};

struct SeccompArg {
  std::uint32_t index = 0;  ///< of the system call's argument, 0..5
  std::int64_t value = 0, value_two = 0;
  std::string op = "SCMP_CMP_EQ";
  friend bool operator==(const SeccompArg&, const SeccompArg&) = default;
};

struct SeccompRule {
  std::vector<std::string> names;
  std::string action;  ///< "SCMP_ACT_ALLOW"
  std::optional<std::uint32_t> errno_ret = {};
  std::vector<SeccompArg> args = {};
  friend bool operator==(const SeccompRule&, const SeccompRule&) = default;
};

struct Seccomp {
  std::string default_action;
  std::optional<std::uint32_t> default_errno_ret = {};
  std::vector<std::string> architectures = {};  ///< "SCMP_ARCH_X86_64"
  std::vector<std::string> flags = {};
  std::vector<SeccompRule> syscalls = {};
  Other other = {};
  friend bool operator==(const Seccomp&, const Seccomp&) = default;

  Json to_json() const;
  static Result<Seccomp> from_json(const Json& object);
};

struct Linux {
  std::vector<Namespace> namespaces = {};
  std::vector<IdMapping> uid_mappings = {}, gid_mappings = {};
  std::optional<Resources> resources = {};
  std::string cgroups_path = {};
  std::optional<Seccomp> seccomp = {};
  std::string rootfs_propagation = {};
  std::vector<std::string> masked_paths = {}, readonly_paths = {};
  std::map<std::string, std::string> sysctl = {};
  Other other = {};
  friend bool operator==(const Linux&, const Linux&) = default;
};

}  // namespace locald::oci::spec

namespace locald::oci {

struct RuntimeSpec {
  std::string oci_version = "1.0.2";
  std::optional<spec::Process> process = {};
  std::optional<spec::Root> root = {};
  std::string hostname = {};
  std::vector<spec::Mount> mounts = {};
  std::map<std::string, std::string> annotations = {};
  std::optional<spec::Linux> linux_ = {};  ///< "linux" (a macro of GNU compilers)
  spec::Other other = {};
  friend bool operator==(const RuntimeSpec&, const RuntimeSpec&) = default;

  /// @return Errc::invalid_input; Errc::unsupported for another major version.
  static Result<RuntimeSpec> from_json(const Json& document);
  static Result<RuntimeSpec> parse(std::string_view text);
  Json to_json() const;
};

}  // namespace locald::oci
