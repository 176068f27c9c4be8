#pragma once
#include <sys/stat.h>

#include <ctime>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/layer_attributes.h"
#include "oci/layer/lower_tree.h"

namespace locald::oci {

/// One folder of the tree that this layer has to do with. Its path holds no symlink.
struct LayerDir {
  std::string path;                      ///< from the root; "" is the root
  UniqueFd fd;                           ///< while among the last used; ask LayerTree::fd()
  std::list<LayerDir*>::iterator use{};  ///< its place among those, while fd is open
  timespec mtime{};      ///< what finish() gives it: its own of before, or the entry's
  bool changed = false;  ///< something in it or of it was changed: mtime must be set
  bool touched_by_layer =
      false;  ///< this layer has an entry in it or for it: a whiteout must not take it away
  bool hides_lower = false;    ///< overlay form: opaque, or known to have no folder below
  bool has_whiteouts = false;  ///< overlay form: finish() may have to take them away again
  std::vector<TarEntry::Xattr> deferred_xattrs;
};

/// The tree that a layer is written to, and the ways through it.
///
/// Names are resolved here, in user space, one part at a time: a symlink is
/// read and its target walked from the layer's root, so no kernel walk ever
/// leaves the root. What the kernel gets are descriptors of folders and single
/// names, opened without following links.
///
/// Overlay form: a part that is not in this layer's own folder is looked up in
/// the lower layers (which are asked for at the first such part); a folder that
/// only they have is made here with the same attributes, so that the merged
/// view does not change. Flat form: the tree itself holds everything, and what
/// this layer has written is remembered, so that whiteouts spare it.
///
/// Not thread-safe; nobody else may rename in the tree during its life (they could
/// not make us leave it, but entries might land in the wrong folder of it).
class LayerTree {
 public:
  enum class Form : std::uint8_t { overlay, flat };

  /// @param root    Borrowed. @param lowers  Empty for the flat form.
  LayerTree(Form form, int root, const LowerLayers& lowers, const ApplyOptions& options,
            LayerAttributes& attributes, Warnings& warnings);

  /// Looks at the root. Before anything else.
  Result<void> start();

  LayerDir& root() { return *root_; }
  /// The folder's descriptor, open for reading. The last few asked for stay open, so two may be
  /// used together.
  Result<int> fd(LayerDir& dir);

  /// The folder that `parts` leads to, for writing into it: made where it is
  /// missing (0755, root's, `mtime`), put in the place of anything that is not a folder.
  Result<LayerDir*> parent(std::span<const std::string> parts, const timespec& mtime);
  /// The folder that `parts` leads to if there is one (here or below); nullptr otherwise.
  Result<LayerDir*> find_dir(std::span<const std::string> parts);

  /// The folder `name` in `dir`, made if need be; whatever else stands there is replaced.
  struct Made {
    LayerDir* dir = nullptr;
    bool existed = false;
  };
  Result<Made> make_dir(LayerDir& dir, const std::string& name);

  /// What a hard link may point to: the last part is not followed.
  struct Target {
    LayerDir* dir = nullptr;  ///< nullptr: there is no such thing
    std::string name;
  };
  /// Finds a hard link's target; one in a lower layer is copied up first.
  Result<Target> link_target(std::span<const std::string> parts);

  /// Takes away what stands at `name` so that an entry can replace it.
  Result<void> remove_conflicting(LayerDir& dir, const std::string& name);
  /// Every entry that was put into `dir` is told here.
  void note_written(LayerDir& dir, const std::string& name);

  /// Hides `name` of the lower layers, never of this one.
  Result<void> whiteout(LayerDir& dir, const std::string& name);
  /// Hides all that lower layers have in `dir`.
  Result<void> make_opaque(LayerDir& dir);

  /// Removes `name` from the root as if it had never been.
  Result<void> drop(const std::string& name);
  /// Times and late attributes of all folders. After the last entry.
  Result<void> finish();

  /// True once the lower layers have been asked, so that the result depends on them.
  bool used_lowers() const noexcept { return lower_.has_value(); }

 private:
  /// Where a walk has come to.
  struct Place {
    std::string path;
    bool exists = true;
    bool in_upper = true;       // as a folder of the tree written to: then it is in dirs_
    bool lower_visible = true;  // not hidden by an opaque folder above
  };
  struct Node {
    enum class Where : std::uint8_t { nowhere, upper, lower } where = Where::nowhere;
    mode_t type = 0;
    std::string target;  // of a symlink
  };

  Result<Place> resolve(std::span<const std::string> parts);
  Result<Node> look(const Place& at, const std::string& name);
  Result<LayerDir*> ensure(const std::string& path, const timespec& mtime);
  Result<LayerDir*> copy_dir(LayerDir& parent, const std::string& name, LowerTree::Node& node);
  Result<void> copy_up(LayerDir& parent, const std::string& name, LowerTree::Node& node);
  Result<LowerTree*> lower();
  LayerDir* add(std::string path, const struct stat& st);
  LayerDir* known(std::string_view path);
  void forget(const std::string& path);
  void shadowed(const std::string& path);
  void mark_mine(LayerDir& dir);
  Result<void> set_opaque(LayerDir& dir);
  Result<bool> hide(LayerDir& dir, const std::string& name);
  bool lower_hidden(const LayerDir& dir);
  Result<void> remove_whiteouts(LayerDir& dir);
  Result<void> remove_copies(LayerDir& dir);
  Result<void> prune(LayerDir& dir);
  Result<bool> keep_own_entry(LayerDir& dir, const std::string& name);

  const Form form_;
  const int root_fd_;
  const LowerLayers& lowers_;
  const ApplyOptions& options_;
  LayerAttributes& attributes_;
  Warnings& warnings_;
  std::optional<LowerTree> lower_;
  std::map<std::string, LayerDir, std::less<>>
      dirs_;  // ordered: what lies in a folder is one range
  LayerDir* root_ = nullptr;
  std::list<LayerDir*> open_;  // those with a descriptor, least recently used first
  std::unordered_map<std::string, LayerDir*> by_name_;  // names as in the archive, already resolved
  std::unordered_set<std::string> lower_links_;  // symlinks of lower layers that by_name_ relies on
  std::set<std::string> copied_;  // overlay form: copies from below, not entries of this layer
  std::unordered_set<std::string> written_;  // flat form: what this layer has put where
};

}  // namespace locald::oci
