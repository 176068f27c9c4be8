#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/layer/layer_apply.h"

namespace locald::oci {

/// Names a layer, and what lies below it.
///
/// Most layers mean the same upon anything and are shared by their diff id alone. One that had to
/// look at its lower layers (LowerLayers) is right only upon those, so it is kept for its chain:
/// the same diff id in another image is another folder.
struct LayerKey {
  Digest diff_id;
  Digest chain_id;  ///< of the stack up to and with this layer (OCI image-spec,
                    ///< config.md#layer-chainid)

  /// The lowest layer of an image: its chain id is its diff id. Implicit, for layers known to stand
  /// alone.
  LayerKey(const Digest& bottom) : diff_id(bottom), chain_id(bottom) {}  // NOLINT
  LayerKey(Digest diff, Digest chain) : diff_id(std::move(diff)), chain_id(std::move(chain)) {}
  friend bool operator==(const LayerKey&, const LayerKey&) = default;
};
/// The keys of an image's layers from its diff ids, base first, as in the image config. A diff id
/// that comes again has the key of its first place: it is applied once.
std::vector<LayerKey> layer_keys(const std::vector<Digest>& diff_ids);

/// The extracted layers on disk, each once, whatever images share it.
///
///     layers/<diffID hex>/             one layer; <diffID>.<chainID> where what was applied
///     |                                depends on the layers below it
///     |-- diff/                        the tree, overlay form
///     `-- layer.json                   the commit record: written after one syncfs of the tree,
///                                      before the rename to this name
///     layers/l/<short>                 symlink to ../<layer's folder>/diff: many layers fit in
///                                      one page of mount options
///     layers/.staging/<diffID>.<chainID>/   a layer in progress, its folder flock(2)ed;
///                                      unlocked = left by a crash
///
/// A layer without a readable record, or under another id map, counts as
/// absent and is fetched again. Looking (has, path, list) works from outside of
/// the user namespace too; add, remove and sweep walk trees of mapped owners and
/// belong into a worker inside it.
///
/// Several processes may use one store at the same time. Thread-safe.
class LayerStore {
 public:
  /// @param layers_dir  absolute; made (0700) with its inner folders where missing.
  /// @param map_id      names the map exactly: "root", "100000:65536", "single".
  static Result<LayerStore> open(const std::string& layers_dir, IdMap map, std::string map_id);

  /// True where the layer is committed under our id map.
  bool has(const LayerKey& layer) const;
  /// The tree's absolute path (there or not).
  std::string path(const LayerKey& layer) const;
  /// The tree relative to the layers' folder ("l/3f2a…"), for mount options under
  /// chdir(layers_dir).
  /// @return Errc::not_found when the layer is not there under our id map.
  Result<std::string> short_path(const LayerKey& layer) const;
  const std::string& dir() const noexcept { return dir_; }

  /// Applies and commits `compressed`. When the layer is there already, or
  /// another process commits it first, `compressed` is not read (any further) and the
  /// record's figures are returned.
  /// @return Errc::corrupt when the layer's diffID is not `layer.diff_id`; errors of
  ///         apply_layer_overlay. On error nothing is left.
  Result<AppliedLayer> add(const LayerKey& layer, ByteSource& compressed,
                           std::string_view media_type, const LowerLayers& lowers,
                           const ApplyOptions& options);

  struct Entry {
    Digest diff_id;
    std::uint64_t bytes = 0;  ///< of the tar
    std::uint64_t entries = 0;
    bool usable = false;  ///< has a record under our id map
  };
  /// Everything that bears a layer's name, usable or not; by diffID (twice where two chains keep
  /// it).
  Result<std::vector<Entry>> list() const;

  /// Removes the layer, usable or not, with all chains that keep it. One that is not there is fine.
  /// The caller knows that no container uses it.
  Result<void> remove(const Digest& diff_id);

  /// Removes what crashes left in `.staging`. add() does it by itself.
  Result<void> sweep();

 private:
  LayerStore(std::string dir, IdMap map, std::string map_id)
      : dir_(std::move(dir)), map_id_(std::move(map_id)), map_(map) {}

  std::string dir_;
  std::string map_id_;
  IdMap map_;
};

}  // namespace locald::oci
