#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "oci/spec/runtime_spec.h"

namespace locald::runtime {

/// Our helper in front of a container's command (shim/init.h has what it does):
///
///     /dev/init [--map UID:GID] [--seal] [--exec] --report -- CMD [ARG…]
///
/// Who runs where the user namespace has a single id: the runtime starts the
/// helper as 0:0, the id that is mapped; the helper makes a user namespace of
/// its own in which that id is UID:GID, and starts the command there. So
///
///   - every file of that id, which is every file of the image and of the
///     container's volumes, appears to belong to UID:GID; there is no other
///     owner, chown(2) to anybody else fails, setuid files have no effect;
///   - what the command writes belongs to the user's own id on the host;
///   - each command that is executed later is in a namespace of its own beside
///     the first: the same user to files and signals, but not to ptrace(2) and
///     to what of /proc/PID asks for its right (environ, fd, root).
struct ContainerInit {
  struct Ids {
    std::uint32_t uid = 0, gid = 0;
    friend bool operator==(const Ids&, const Ids&) = default;
  };
  std::optional<Ids> map;  ///< nested as this user; never 0:0
  bool seal = false;       ///< no further user namespaces: the filter lets the helper make one
  bool exec = false;       ///< the helper becomes the command instead of its parent

  /// The words that stand before the command, "--" included.
  std::vector<std::string> words() const;
  /// What `config`'s process begins with, where its helper is mounted; nullopt: the command itself.
  static std::optional<ContainerInit> of(const oci::RuntimeSpec& config);

  friend bool operator==(const ContainerInit&, const ContainerInit&) = default;
};

/// The place of the helper in a container: a file in the tmpfs of /dev, so that nothing is made in
/// the image.
extern const char* const kContainerInitPath;

}  // namespace locald::runtime
