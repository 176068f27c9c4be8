#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/container_options.h"
#include "builder/image_facts.h"
#include "builder/user_lookup.h"
#include "oci/spec/image_config.h"
#include "oci/spec/runtime_spec.h"
#include "runtime/user_namespace.h"

namespace locald::builder {

/// A mount with its source on the host and its place in the container made sure of.
struct ReadyMount {
  VolumeMount::Kind kind = VolumeMount::Kind::bind;
  std::string source;  ///< absolute path on the host; "" for tmpfs
  std::string target;  ///< resolved in the root file system
  bool read_only = false;
  std::uint64_t tmpfs_bytes = 0;
};

/// What the host is like, asked once (Environment::host).
struct HostFacts {
  runtime::IdMapKind id_map = runtime::IdMapKind::root;
  std::uint64_t id_count = UINT64_MAX;  ///< ids 0 … n-1 exist in the containers' user namespace
  bool recursive_read_only = true;      ///< mount_setattr(2): the runtime's "rro" and its like work
  std::vector<std::string> masked_paths;  ///< found on this host, besides Docker's fixed set
  std::string init_program = {};          ///< absolute path of what becomes /dev/init in containers
  std::map<std::string, std::int64_t> hard_limits = {};  ///< of processes (limits.h)
};

/// All that the spec is made of. Borrowed for the call.
struct SpecInput {
  const oci::ImageConfig& image;
  const ContainerOptions& options;
  const ImageFacts& facts;
  const HostFacts& host;
  std::vector<ReadyMount> mounts;                ///< the user's and the image's volumes
  std::vector<ReadyMount> own_files;             ///< /etc/hosts and its like
  std::vector<ReadyMount> files_in_volume = {};  ///< those of them that stand in one of `mounts`
  std::string fallback_hostname;
};

struct BuiltSpec {
  oci::RuntimeSpec spec;
  ResolvedUser
      user;  ///< who the command is; with a single id the spec's own user is 0 all the same
  int stop_signal = 0;  ///< that options or image ask for; 0: neither does
  std::vector<std::string> notices;
};

/// Image configuration, options and facts become a RuntimeSpec. Pure: reads
/// nothing but its input (a seccomp profile of the user's own excepted).
///
/// Nothing of the image becomes an option of locald: labels, annotations, hooks
/// and devices are not looked at.
///
/// Where the user namespace has a single id and the command is to be another user than
/// 0:0, the runtime starts our helper instead, with what it needs to nest the command
/// (runtime/container_init.h): CAP_SETFCAP and one form of unshare(2), both of
/// which it takes away again. Files then all appear to belong to that user.
///
/// @return Errc::invalid_input: no command, a WORKDIR under /proc …;
///         Errc::not_found: unknown user; Errc::unsupported: limits without
///         cgroups, ids that the subordinate range does not have. With hints.
Result<BuiltSpec> build_spec(const SpecInput& input);

/// Who the container's command is: options before image. Errors as build_spec's.
Result<ResolvedUser> container_user(const oci::ImageConfig& image, const ContainerOptions& options,
                                    const ImageFacts& facts, const HostFacts& host);

/// The working folder: options before image before "/"; never under /proc (CVE-2024-21626).
Result<std::string> container_workdir(const oci::ImageConfig& image,
                                      const ContainerOptions& options);

}  // namespace locald::builder
