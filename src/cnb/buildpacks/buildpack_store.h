#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json/json.h"
#include "base/paths.h"
#include "base/result.h"
#include "builder/environment.h"
#include "cnb/inputs/order.h"

namespace locald::cnb {

/// Buildpacks that projects add to builders, unpacked, each once for all apps:
///
///     DATA/cnb/.buildpacks/
///     |-- <key>/            one that was added: named by its content, and never written to again
///     |   |-- record.json   which buildpacks are in it
///     |   |-- used          empty; its mtime is when a build last asked for it
///     |   `-- tree/cnb/buildpacks/<id, "/" as "_">/<version>/   a lower folder on top of the
///     |                   builder's; the version's folder is opaque: nothing shines through
///     |-- sources/<hash of a path or URL>.json    what it was when it was last looked at, and the
///     |                                           key that this came to
///     |-- sources/<hash of a path>.index          the last scan of a folder: a stat cache
///     `-- .new-<random>/    one under way, its folder flock(2)ed; unlocked: left by a crash
///
/// Owner of all in a tree is the container's root, modes are 0755 and 0644: workers make and remove
/// it (buildpack_job.h). Packages that are images are not part of this: their layers are in the
/// layer store like every image's.
///
/// Reads and touches are the server's; thread-compatible.
class BuildpackStore {
 public:
  explicit BuildpackStore(std::string dir) : dir_(std::move(dir)) {}
  explicit BuildpackStore(const Paths& paths) : dir_(paths.cnb_buildpacks()) {}

  /// What one key holds.
  struct Entry {
    std::string key;
    std::vector<Module> modules;  ///< the one it was asked for first; none: it only hides others
  };

  const std::string& dir() const noexcept { return dir_; }
  /// nullopt where it is not there, or may not have reached the disk before the machine started.
  std::optional<Entry> find(const std::string& key) const;
  /// Notes that a build asks for it now.
  void touch(const std::string& key) const;
  /// Its tree as a lower folder, relative to the layers' folder (Assembly::lower_base).
  static std::string lower(const std::string& key) { return "../cnb/.buildpacks/" + key + "/tree"; }

  /// What was noted of a source ("/p/bp.tgz", "https://…"); null where nothing was.
  Json note(std::string_view source) const;
  Result<void> write_note(std::string_view source, const Json& note) const;
  /// The file of a folder's scan.
  std::string index_file(std::string_view source) const;

  /// Moves out of the way (cnb::discard) what no build has asked for during `unused`, at the least
  /// a day, since builds may stand on it; what crashes left; and old notes. Folders' and scripts'
  /// buildpacks, which are cheap to make again, go after a day in any case.
  Result<void> prune(const builder::Environment& environment,
                     std::chrono::milliseconds unused) const;

 private:
  std::string source_file(std::string_view source, const char* end) const;
  std::string dir_;
};

/// The name of a content: `kind` says how it is read and laid out ("folder", "archive", …), `map`
/// whose overlay attributes it has ("root", "subuid", "single": Environment's id maps).
std::string buildpack_key(std::string_view kind, std::string_view map, std::string_view content);

/// record.json of `entry`.
/// @param durable  Its files have reached the disk.
Json buildpack_record(const BuildpackStore::Entry& entry, std::string_view kind, bool durable);

}  // namespace locald::cnb
