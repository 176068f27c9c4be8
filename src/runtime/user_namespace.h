#pragma once
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::runtime {

/// How ids on disk are mapped: full subordinate range, or the user's own id alone.
enum class IdMapKind { root, subuid, single };

/// The user namespace that all rootless containers of this user live in. Made
/// by `locald-shim holder` (which ends at once): the namespace lives as long as
/// this object's descriptor, or a shim in it, does. As root there is none.
///
/// Thread-safe: the namespace is made at the first request.
class UserNamespace {
 public:
  /// @param shim  Path of locald-shim.
  explicit UserNamespace(std::string shim);

  /// The namespace's descriptor (borrowed), or -1 as root. Made on first use: the
  /// ladder of what a rootless user may have (newuidmap with the subid range, else the
  /// single-id map with a notice, else a refusal that names the missing piece and
  /// the exact command that repairs it).
  Result<int> fd();

  /// Known after a successful fd().
  IdMapKind kind() const;
  /// "root", "100000:65536" or "single": what a layer's commit record says.
  std::string map_id() const;
  /// What the user should hear once (single-id map: why); empty otherwise.
  std::string notice() const;

  /// Whether that namespace (of a network) belongs to it: only then can it be worked in. Makes ours
  /// where there is none yet.
  bool owns(int namespace_fd);

  /// Takes the namespace over from a process of an earlier server's time, when its map is ours.
  Result<void> adopt(int pid);

 private:
  Result<void> make();
  std::string shim_;
  mutable std::mutex mutex_;
  UniqueFd fd_;
  IdMapKind kind_ = IdMapKind::root;
  std::string map_id_, notice_;
  bool made_ = false;
};

}  // namespace locald::runtime
