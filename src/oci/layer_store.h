#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/layer_apply.h"

namespace locald::oci {

/// The extracted layers on disk, each once, whatever images share it.
///
///     layers/<diffID hex>/diff/        the tree, overlay form
///     layers/<diffID hex>/layer.json   the commit record: written after one syncfs of the tree, before the rename
///     layers/l/<short>                 symlink to ../<hex>/diff: many layers fit in one page of mount options
///     layers/.staging/<hex>/           a layer under way, its folder flock(2)ed; unlocked = left by a crash
///
/// A layer without a readable record, or under another id map, counts as
/// absent and is fetched again. Looking (has, path, list) works from outside of
/// the user namespace too; add, remove and sweep walk trees of mapped owners and
/// belong into a worker inside it.
///
/// Several processes may use one store at the same time. Objects are values; thread-safe but for what the kernel makes racy.
class LayerStore {
 public:
  /// @param layers_dir  absolute; made (0700) with its inner folders where missing.
  /// @param map_id      names the map exactly: "root", "100000:65536", "single".
  static Result<LayerStore> open(const std::string& layers_dir, IdMap map, std::string map_id);

  /// True where the layer is committed under our id map.
  bool has(const Digest& diff_id) const;
  /// The tree's absolute path (there or not).
  std::string path(const Digest& diff_id) const;
  /// The tree relative to the layers' folder ("l/3f2a…"), for mount options under chdir(layers_dir).
  /// @return Errc::not_found when the layer is not there under our id map.
  Result<std::string> short_path(const Digest& diff_id) const;
  const std::string& dir() const noexcept { return dir_; }

  /// Applies and commits `compressed`. When the layer is there already, or
  /// another process commits it meanwhile, `compressed` is not read (any further) and the
  /// record's figures are returned.
  /// @return Errc::corrupt when the layer's diffID is not `diff_id`; errors of
  ///         apply_layer_overlay. On error nothing is left.
  Result<AppliedLayer> add(const Digest& diff_id, ByteSource& compressed, std::string_view media_type,
                           const LowerLayers& lowers, const ApplyOptions& options);

  struct Entry {
    Digest diff_id;
    std::uint64_t bytes = 0;    ///< of the tar
    std::uint64_t entries = 0;
    bool usable = false;        ///< has a record under our id map
  };
  /// Everything that bears a layer's name, usable or not; by diffID.
  Result<std::vector<Entry>> list() const;

  /// Removes the layer, usable or not. One that is not there is fine. The
  /// caller knows that no container uses it.
  Result<void> remove(const Digest& diff_id);

  /// Removes what crashes left in `.staging` and links that point nowhere. add() does it by itself, once.
  Result<void> sweep();

 private:
  LayerStore(std::string dir, IdMap map, std::string map_id)
      : dir_(std::move(dir)), map_id_(std::move(map_id)), map_(map) {}

  std::string dir_;
  std::string map_id_;
  IdMap map_;
  bool swept_ = false;
};

}  // namespace locald::oci
