#pragma once
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/spec/runtime_spec.h"
#include "runtime/process_runtime.h"

namespace locald::runtime {

/// A running container that something is to be executed in.
struct ExecTarget {
  std::string id, name;
  UniqueFd shim_pidfd;  ///< its namespaces are joined through this
  int pid = 0;          ///< the container's init, the host's number; for its passwd
  bool in_user_namespace = false;
  bool own_network = false;  ///< its shim is in another network than the server
  bool single_id = false;    ///< nobody but 0:0 is mapped in it
  oci::RuntimeSpec config;
};

struct ExecProcess {
  oci::spec::Process process;
  bool init = false;  ///< its command begins with our helper, which reports (shim/protocol.h)
};

/// What `runc exec --process` gets: the container's own process with another command,
/// more environment and, if asked for, another user and folder. The user is looked up in
/// the container's present /etc/passwd and /etc/group, opened beneath its root.
///
/// Where the container's command is nested (container_init.h), so is this one, as the
/// user that it asks for or else the same; as 0:0 it is not, and has no capabilities.
/// @return Errc::not_found for an unknown user; Errc::unsupported for one that a container
///         with a single id does not have.
Result<ExecProcess> exec_process(const ExecTarget& target, const ExecSpec& command);

/// "name", "uid", "uid:gid", "name:group" against the texts of passwd and group. Digits are a
/// number, never a name. Pure.
Result<oci::spec::User> parse_user(const std::string& user, const std::string& passwd,
                                   const std::string& group);

}  // namespace locald::runtime
