#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/exec_process.h"
#include "runtime/process_runtime.h"
#include "runtime/shim_record.h"
#include "runtime/shim_spec.h"

namespace locald::runtime {

struct ProcessRuntime::Impl {
  explicit Impl(Options o) : options(std::move(o)) {}
  /// The OCI runtime's path. Errc::not_found with the package to install.
  Result<std::string> runc() const;
  /// The running container `id`, proven to be the one its folder speaks of. Errc::corrupt where its
  /// bundle was deleted or damaged: no command can be run in it until it is started again.
  Result<ExecTarget> exec_target(const std::string& id) const;
  Result<ExecTarget> exec_target(const InstanceRecord& record) const;
  /// What the instance can write to from now on.
  void share(const std::string& id, std::vector<SharedFolder> folders) const {
    if (options.share) options.share("running " + id, std::move(folders));
  }

  /// clean() without another try.
  Result<void> clean_now(const std::string& id, const std::string& nonce);

  Options options;
  std::mutex mutex;
  std::map<std::string, std::string> unfinished;  ///< nonce by id: clean() had no descriptor
};

/// The spec's part for a host process; LOCALD_INSTANCE is added to its environment.
ShimSpec host_spec(const HostProcess& process, const std::string& nonce);
/// The descriptors that go with it (shim::kShimExtra); borrowed from `process`.
std::vector<int> host_fds(const HostProcess& process);

}  // namespace locald::runtime
