#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/spec/runtime_spec.h"

namespace locald::runtime {

/// How the shim is to make the root file system in its own mount namespace.
/// Nothing is mounted before: a bundle at rest is only files.
struct Rootfs {
  /// Folders with the layers' content, topmost first; absolute paths or names
  /// relative to `lower_base` (short names let 128 layers fit one page of
  /// mount options). Never written to.
  std::vector<std::string> lowers;
  std::string lower_base;  ///< absolute; where relative names in `lowers` start
  std::string upper;       ///< absolute; the container's own writable folder
  std::string work;        ///< absolute; beside `upper`, on the same file system
};

/// A folder or file of the host's that is mounted into a container: that very one, which was opened
/// and judged (base/sys/path_judge.h), not what its name leads to later. The shim puts it at
/// bind_point() in its own mount namespace, and config.json names that place.
struct HostBind {
  UniqueFd fd;       ///< O_PATH
  std::string path;  ///< absolute, without symlinks
  bool is_folder = true;
  bool read_only = false;  ///< config.json says so
};

/// A ready-to-run OCI bundle: a folder with
/// config.json and the mount point `rootfs/`, and the description of what is to be
/// mounted there. A value; the folder belongs to the caller of create().
/// Spec: OCI runtime-spec, bundle.md.
struct ContainerBundle {
  std::string dir;  ///< absolute
  Rootfs rootfs;
  oci::RuntimeSpec config;  ///< as written to config.json
  std::vector<HostBind> binds;
  /// The network namespace that the shim joins, and with it the runtime, whose config.json names
  /// none: a path of it would have to hold for as long as the runtime may open it. Null: config.json
  /// decides.
  std::shared_ptr<const UniqueFd> netns;
  std::shared_ptr<const UniqueFd> sandbox;  ///< kept open by the shim: net/network.h
  int stop_signal = 0;                      ///< that options or image ask for; 0: none, so SIGTERM
  std::vector<std::string>
      anonymous_volumes;             ///< folders made for the image's VOLUMEs: owner removes them
  std::vector<std::string> notices;  ///< what the user should hear once ("devices skipped: 3")

  /// Creates `dir` (0700) with rootfs/, the places for `binds` and config.json. An existing folder
  /// is refused.
  /// @return Errc::already_exists, Errc::no_space …; on error `dir` is gone again.
  static Result<ContainerBundle> create(const std::string& dir, Rootfs rootfs,
                                        oci::RuntimeSpec config, std::vector<HostBind> binds = {});
  /// Where the shim mounts bind `number` of the bundle `dir`: DIR/binds/NUMBER.
  static std::string bind_point(const std::string& dir, std::size_t number);

  const std::string& path() const noexcept { return dir; }
};

}  // namespace locald::runtime
