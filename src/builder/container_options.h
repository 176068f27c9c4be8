#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "builder/volume_text.h"
#include "net/network.h"

namespace locald::builder {

/// Something mounted into a container, as the user asked for it.
struct VolumeMount {
  enum class Kind : std::uint8_t {
    named,
    bind,
    tmpfs,
    own,  ///< one of locald's own folders or files: never from what a user wrote, so not checked
  };
  Kind kind = Kind::named;
  std::string source;  ///< named: the volume's name; bind, own: absolute path; tmpfs: ""
  std::string target;  ///< absolute, in the container, normalised
  bool read_only = false;
  std::uint64_t tmpfs_bytes = 0;  ///< 0: half of the memory, the kernel's own default

  friend bool operator==(const VolumeMount&, const VolumeMount&) = default;

  /// What was written, made ready to be mounted.
  /// @return Errc::invalid_input where the target cannot be one ("..", no absolute path).
  static Result<VolumeMount> of(const VolumeConfig& volume);
};

/// Limits of the cgroup. Rootless without delegation there is none to set them
/// in: what is asked for and cannot be given is an error, never ignored.
struct ResourceLimits {
  std::optional<std::uint64_t> memory_bytes;  ///< without swap
  std::optional<double> cpus;                 ///< 1.5 = one and a half processors
  std::optional<std::int64_t> pids;
  bool any() const noexcept { return memory_bytes || cpus || pids; }
  friend bool operator==(const ResourceLimits&, const ResourceLimits&) = default;
};

/// What a project file or the command line asks of a container, whatever it is
/// made of (an image, a folder, an app). Plain values, already validated as
/// far as their own text goes; absent means "as the image says".
struct ContainerOptions {
  std::string project;     ///< whose named volumes; "container" for `container run`
  std::string volume_key;  ///< names the volumes without a name, so that they outlive a change of
                           ///< configuration (the service's name); "" = the container's key
  std::string hostname;    ///< the service's name, as a rule; empty: the instance's id

  std::optional<std::vector<std::string>>
      entrypoint;  ///< set: the image's Cmd is dropped too, as Docker does
  std::optional<std::vector<std::string>> command;
  std::map<std::string, std::string> env;  ///< wins over the image's
  std::vector<std::string> env_unset;      ///< variables of the image's that it is not to have
  std::string user;                        ///< "", "name", "uid", "name:group", "uid:gid"
  std::string workdir;                     ///< absolute; "" = the image's
  std::vector<VolumeMount> mounts;
  bool init = false;  ///< locald's init is PID 1, the command its child
  bool tty = false;
  unsigned short rows = 24, columns = 80;
  bool read_only = false;   ///< the root file system
  std::string stop_signal;  ///< "" = the image's
  net::Attachment network;  ///< how it is connected, and what it reaches by name
  ResourceLimits limits;
  std::string seccomp_profile;  ///< "" = built in; "unconfined"; else a file with a runtime-spec
                                ///< `linux.seccomp` object
  std::vector<std::string> cap_add, cap_drop;  ///< "NET_ADMIN", "CAP_NET_ADMIN", "ALL"
  bool no_new_privileges = true;
  std::uint64_t shm_bytes = 64u << 20;                       ///< of /dev/shm: 64 MiB
  std::map<std::string, std::vector<std::int64_t>> ulimits;  ///< "nofile": {soft, hard}; -1: none

  friend bool operator==(const ContainerOptions&, const ContainerOptions&) = default;
};

/// An absolute path without "//", "/./", a trailing "/" or "..": Errc::invalid_input otherwise,
/// naming `what` ("the mount's target").
Result<std::string> normal_path(std::string_view path, std::string_view what);

}  // namespace locald::builder
