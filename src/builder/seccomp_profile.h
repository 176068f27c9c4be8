#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/spec/runtime_spec.h"

namespace locald::builder {

/// The built-in filter of system calls: an allow-list in the spirit of Docker's
/// default, so that what is new to the kernel is denied until somebody thought
/// of it (keyctl, io_uring, userfaultfd and bpf are denied by their absence).
///
/// For the host's own ABI alone: every further one costs each start 5 ms and
/// more, and 32-bit programs are rare; they are killed at their first call.
/// Sockets: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK and AF_PACKET by exact value (AF_VSOCK and
/// AF_ALG are out, and so is a value that only looks right in its lower half).
///
/// @param capabilities  The bounding set: some calls go with a capability
///                      (mount with CAP_SYS_ADMIN), as in Docker's profile.
/// @param nesting       The helper is to make a user namespace: unshare(2) with exactly that flag.
oci::spec::Seccomp default_seccomp(const std::vector<std::string>& capabilities,
                                   bool nesting = false);

/// What `profile` means: "" the built-in one, "unconfined" none (nullopt), else the file of that
/// name: a runtime-spec `linux.seccomp` object. Docker's own format (`archMap`, `includes`) is
/// refused.
Result<std::optional<oci::spec::Seccomp>> choose_seccomp(
    const std::string& profile, const std::vector<std::string>& capabilities, bool nesting = false);

}  // namespace locald::builder
