#pragma once
#include <sys/resource.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/path_judge.h"
#include "base/sys/unique_fd.h"
#include "runtime/container_bundle.h"
#include "runtime/service_handle.h"

namespace locald::runtime {

/// What every instance has, whatever runs in it: who it is, where its output goes.
struct InstanceSpec {
  std::string id;     ///< short ([0-9a-z]{12}): names of folders, the runc id
  std::string nonce;  ///< 32 hex digits, random; LOCALD_INSTANCE in the process's environment
  std::string name;   ///< "shop/web", for people and `ps`
  std::string meta;  ///< JSON the server wants back at adoption (project, service, generation, …);
                     ///< not secret
  std::string log_dir;                       ///< empty: no log
  std::uint64_t log_max_bytes = 512u << 20;  ///< of the whole folder; oldest segment first out
  bool tty = false;
  unsigned short rows = 24, columns = 80;
  bool open_stdin = false;  ///< false: /dev/null (or a terminal nobody types on)
  bool hold = false;  ///< output waits for the first attached client (base/log/attach_protocol.h)
};

/// A process on the host: all of its world is said here, nothing is the server's own.
struct HostProcess {
  std::vector<std::string> argv;  ///< argv[0] is looked for in the PATH of `env`
  std::vector<std::string> env;   ///< "K=V"
  std::string cwd;
  /// That folder, opened (O_PATH suffices): where the process starts, whatever `cwd` leads to by
  /// then. Null: `cwd` by its name.
  std::shared_ptr<const UniqueFd> folder = nullptr;
  unsigned umask = 022;
  std::vector<std::pair<int, rlimit>>
      rlimits;  ///< RLIMIT_*; a hard limit that cannot be raised is left, never fatal
};

/// A command in a running container.
struct ExecSpec {
  std::vector<std::string> argv;
  std::vector<std::string> env;  ///< added to the container's own
  std::string user;              ///< "", "name", "uid", "uid:gid"
  std::string cwd;               ///< "" = the container's
};

/// The one path by which anything runs: PTY or pipes, shim, runc or plain exec,
/// exit. run_host and run_container differ in what stands before `start`.
///
/// Blocking calls of a few milliseconds: made on a job's thread. Thread-safe.
class ProcessRuntime {
 public:
  struct Options {
    Paths paths;
    std::string shim;  ///< path of locald-shim
    std::string runc;  ///< the OCI runtime, as for find_runtime(): looked up for each start
    /// The user namespace that containers live in; -1 as root. Borrowed.
    std::function<Result<int>()> user_namespace;
    /// Told which folders of the host's a container can write to, before it runs, when it is found
    /// again, and (none) once it is cleaned away: SharedFolders::set. On any thread; may be empty.
    std::function<void(const std::string& owner, std::vector<SharedFolder>)> share = {};
    std::string search_path = {};  ///< where `runc` is looked for
  };
  explicit ProcessRuntime(Options options);
  ~ProcessRuntime();

  /// Starts a process on the host.
  /// @return once its shim has taken over (the process itself may not run yet:
  ///         ServiceHandle::Events tells). On error nothing is left.
  Result<std::unique_ptr<ServiceHandle>> run_host(const InstanceSpec& instance,
                                                  const HostProcess& process);

  /// Prepares the bundle and starts the container; what the bundle says for the user goes to
  /// `context.notice`. `Source` is a builder::BundleSource (a template, since this room stands
  /// below that one).
  template <typename Source, typename Context>
  Result<std::unique_ptr<ServiceHandle>> run_container(const InstanceSpec& instance, Source& source,
                                                       const Context& context) {
    ContainerBundle bundle = TRY(source.prepare(bundle_dir(instance), context));
    if (context.notice)
      for (const std::string& text : bundle.notices) context.notice(text);
    return start_container(instance, std::move(bundle));
  }

  /// Runs a command in the container of `target`, with a shim of its own.
  Result<std::unique_ptr<ServiceHandle>> exec(const InstanceSpec& instance,
                                              const std::string& target_instance,
                                              const ExecSpec& command);

  /// One exec health probe: the exit code, the first 4 KiB of output; the whole
  /// tree is killed at `timeout` and where it is called off, before this returns. In the container
  /// of `target_instance`.
  struct ProbeResult {
    int code = 0;
    std::string output;
  };
  Result<ProbeResult> probe(const std::string& target_instance, const ExecSpec& command,
                            std::chrono::milliseconds timeout, const std::stop_token& stop);
  /// The same beside a host service.
  Result<ProbeResult> probe_host(const HostProcess& command, std::chrono::milliseconds timeout,
                                 const std::stop_token& stop);

  /// What an earlier server left in svc/: `live` has a connected handle, proven (R-PID);
  /// a dead one has the exit status its shim recorded, or "unknown". Also
  /// bundles that were never started: without a nonce.
  struct Found {
    std::string id, nonce, meta;
    std::unique_ptr<ServiceHandle> live;  ///< null: ended
    ExitStatus exit;
  };
  Result<std::vector<Found>> find_instances();

  /// Removes what an ended instance leaves: runc's state, cgroups, bundle, svc folder,
  /// leftover processes that carry its nonce. Idempotent; proves that nothing is left (R-GONE).
  /// Without a descriptor or memory it is tried again for 5 s, and after that with each later
  /// clean() that succeeds.
  Result<void> clean(const std::string& id, const std::string& nonce);

 private:
  std::string bundle_dir(const InstanceSpec& instance) const;
  Result<std::unique_ptr<ServiceHandle>> start_container(const InstanceSpec& instance,
                                                         ContainerBundle bundle);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace locald::runtime
