#pragma once
#include "shim/spec.h"
#include "shim/text.h"

namespace locald::shim {

/// Makes the shim's own view of the mounts: a slave of the host's, and a /proc that shows the
/// pid namespace the caller is PID 1 of. False with a sentence in `why`.
bool make_mounts(Text& why);

/// Mounts the overlay of `spec` on BUNDLE/rootfs, where it has lower folders. In a user namespace
/// with `userxattr`. Leaves the working folder changed. False with a sentence in `why`.
bool mount_rootfs(const Spec& spec, Text& why);

/// Mounts the host's folders and files that the spec names (kKeyBind) below the bundle: those that
/// the server has opened, or none. Closes their descriptors. False with a sentence in `why`.
bool mount_binds(const Spec& spec, Text& why);

}  // namespace locald::shim
