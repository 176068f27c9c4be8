#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/paths.h"
#include "base/result.h"
#include "base/sys/fs_at.h"
#include "cnb/app.h"
#include "cnb/store/generation.h"

namespace locald::cnb {

// clang-format off
/// One app on disk:
///
///     DATA/cnb/<app>/
///     |-- app.json             what it is made of, and when it was last asked for
///     |-- failed               the fingerprint of a build that failed, until one succeeds
///     |-- source.index         the last scan of the source (SourceIndex): the stat cache
///     |-- g/<number>/          a generation
///     |   |-- generation.json  the commit record, written last
///     |   |-- facts            what a start must know of its tree (ImageFacts)
///     |   |-- root/            workspace/, layers/config/…, layers/sbom/launch/…, cnb/…: the topmost
///     |   |                    of the folders beneath the app's containers
///     |   `-- sbom-cache/      what a build said of its cache layers
///     |-- t/<tree>/            layers/<buildpack>/<layer>/: one layer's content, of one or more
///     |                        generations; beneath their containers too where it is a launch layer
///     |-- spare/               copies that the next build takes: the source (workspace/ with
///     |                        workspace.index) and layers to be restored (t/<tree>/); `boot`
///     |                        says whether they have reached the disk
///     |-- packed.json          of which layers an export knows digests (export.h)
///     |-- build/               a build under way; what a crash leaves of it is removed by the next.
///     |                        Its own source.index, for while it waits others scan
///     `-- strict/              cache/ and layout/ of the real exporter
///
// clang-format on
/// Nothing below g/ and t/ is written to once it is committed. Owners are those of the build and
/// run users, so workers make and remove it; the server reads app.json, generation.json and facts.
/// Thread-compatible; who changes anything holds the app's lock (Environment::lock_for).
class AppStore {
 public:
  AppStore(const Paths& paths, std::string app) : dir_(paths.cnb_app(app)), app_(std::move(app)) {}

  const std::string& app() const noexcept { return app_; }
  const std::string& dir() const noexcept { return dir_; }
  std::string record_file() const { return dir_ + "/app.json"; }
  std::string failed() const { return dir_ + "/failed"; }
  std::string source_index() const { return dir_ + "/source.index"; }
  std::string generations_folder() const { return dir_ + "/g"; }
  std::string generation(std::uint64_t number) const {
    return generations_folder() + "/" + std::to_string(number);
  }
  std::string facts(std::uint64_t number) const { return generation(number) + "/facts"; }
  std::string trees() const { return dir_ + "/t"; }
  std::string tree(std::string_view id) const { return trees() + "/" + std::string(id); }
  std::string spare() const { return dir_ + "/spare"; }
  std::string spare_trees() const { return spare() + "/t"; }
  std::string spare_tree(std::string_view id) const {
    return spare_trees() + "/" + std::string(id);
  }
  std::string spare_boot() const { return spare() + "/boot"; }
  std::string spare_index() const { return spare() + "/workspace.index"; }
  std::string build() const { return dir_ + "/build"; }
  std::string build_index() const { return build() + "/source.index"; }
  std::string strict() const { return dir_ + "/strict"; }
  std::string packed() const { return dir_ + "/packed.json"; }
  GenerationStamp stamp(const Generation& g) const { return {app_, g.number, g.built_at}; }
  /// The newest generation that counts under this id map and this boot.
  std::optional<Generation> current(std::string_view map_id) const;
  /// The newest of those that were not built by the real exporter: what a hybrid build starts from.
  std::optional<Generation> newest_hybrid(std::string_view map_id) const;
  /// Whether the spare copies can be what they say: made since this boot, or synced. After a power
  /// cut names may be there whose files' content is not.
  bool spares_count() const;
  Result<void> mark_spares(Durability durability) const;

  /// All that can be read, newest first, whether they count or not.
  std::vector<Generation> generations() const;
  /// One more than the highest number ever used.
  std::uint64_t next_number() const;

  /// Writes the commit record of `generation`, whose folder is complete.
  Result<void> commit(const Generation& generation) const;
  /// After its files have reached the disk: it counts after a restart of the machine too.
  Result<void> mark_synced(std::uint64_t number) const;

  /// What app.json says.
  struct Record {
    AppSpec spec;
    std::string last_used;  ///< RFC 3339, UTC
  };
  std::optional<Record> record() const;
  /// Writes app.json where it is not so already (a minute counts as one moment).
  Result<void> touch(const AppSpec& spec) const;

  /// The keys of all apps there are.
  static std::vector<std::string> list(const Paths& paths);

 private:
  bool counts(const Generation& generation, std::string_view map_id) const;
  std::string dir_, app_;
};

/// The time that a text of now_text() (base/units.h) says; the epoch for one that is none.
std::chrono::system_clock::time_point time_of(const std::string& text);

}  // namespace locald::cnb
