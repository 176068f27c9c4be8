#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/paths.h"
#include "base/result.h"
#include "base/sys/path_judge.h"

/// What is written down of a shim, twice: RUN/svc/<id>/instance.json and, for when the run folder
/// is deleted, STATE/instances/<id>.json; both by the shim itself before anything runs, and again
/// by the server that finds one of them gone. Neither holds an environment (R-SECRET).
namespace locald::runtime {

/// A folder of the host's that the container has mounted writable: the one that was opened.
struct WritableFolder {
  FileId id;
  std::string path;  ///< where it was then, for people; may be empty

  friend bool operator==(const WritableFolder&, const WritableFolder&) = default;
};

struct InstanceRecord {
  std::string id, nonce, name, kind, meta, log_dir, boot_id;
  std::string folder;  ///< svc/<id>, absolute
  int shim_pid = 0;
  std::uint64_t shim_start = 0;          ///< of /proc/PID/stat
  std::vector<WritableFolder> writable;  ///< an older shim does not say it

  /// Those, as a judge of paths knows them: by whom, `name` says.
  std::vector<SharedFolder> shared() const;
  std::string to_text() const;
  /// What the shim completes: all but its own pid and start time.
  Json without_shim() const;
  /// @return Errc::corrupt, Errc::unsupported
  static Result<InstanceRecord> parse(const std::string& text, const std::string& path);
};

/// svc/<id>/instance.json.
/// @return Errc::not_found  there is none
///         Errc::corrupt    it is damaged
///         anything else    it cannot be read now (too many open files): base/error_kind.h
Result<InstanceRecord> read_instance(const std::string& folder);

/// The copy in the state folder; the same errors.
Result<InstanceRecord> read_kept(const Paths& paths, const std::string& id);
/// Replaces the copy. A failure does not end a service: the one in the run folder stands.
Result<void> keep(const Paths& paths, const InstanceRecord& record);
void forget(const Paths& paths, const std::string& id);
/// The ids of all copies. @return an error where the folder is there and cannot be read.
Result<std::vector<std::string>> kept_ids(const Paths& paths);

}  // namespace locald::runtime
