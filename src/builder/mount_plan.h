#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "builder/container_options.h"
#include "builder/image_facts.h"
#include "builder/spec_builder.h"
#include "oci/spec/image_config.h"

namespace locald::builder {

/// A place in the tree that something will be mounted on, or the working folder.
struct WantedPoint {
  std::string path;  ///< as asked for; where it really is, the facts say
  bool is_file = false;
};

struct PlannedMount {
  VolumeMount::Kind kind = VolumeMount::Kind::named;
  std::string source;  ///< the volume's name ("": without one), then its folder; a bind's path
  std::string asked;   ///< the target as it was asked for
  std::string target;  ///< resolved in the tree, after settle()
  bool read_only = false;
  bool is_file = false;  ///< a bind of a file
  bool nested =
      false;  ///< lies in another mount of the user's: its place is there, not in the tree
  std::uint64_t tmpfs_bytes = 0;
};

/// What is mounted where: the options' mounts, the image's VOLUMEs, our own files
/// in /etc. Pure; decides before anything is touched, and once more
/// (settle) when it is known what the tree has at those places.
class MountPlan {
 public:
  /// @return Errc::invalid_input: two mounts at one place; Errc::denied: a target
  ///         that is or hides "/", /proc, /sys or /dev.
  static Result<MountPlan> make(const ContainerOptions& options, const oci::ImageConfig& image);

  /// All that the facts must cover.
  std::vector<std::string> interesting_paths() const;
  /// What must be there before the runtime starts.
  std::vector<WantedPoint> wanted_points() const;

  /// Fills in where things really are and checks that they fit.
  /// @return Errc::denied: /proc, /sys or /dev is a symlink, a target leads there;
  ///         Errc::invalid_input: a folder on a file, a file on a folder.
  Result<void> settle(const ImageFacts& facts);

  std::vector<ReadyMount> ready() const;

  std::vector<PlannedMount> mounts;
  std::vector<std::pair<std::string, std::string>> own_files;  ///< "/etc/hosts" … -> resolved
  /// Those that stand in a volume at /etc: the runtime makes their places there.
  std::vector<std::string> files_in_volume;

 private:
  bool inside_a_mount(const std::string& path) const;
  bool volume_takes(const std::string& file) const;
  std::string workdir_;
};

}  // namespace locald::builder
