#pragma once
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/archive/layer_limits.h"
#include "oci/ref/digest.h"

namespace locald::oci {

/// Whose ids the files on disk get. The caller is already root, or in the user
/// namespace; nothing here enters one.
enum class IdMap : std::uint8_t {
  root,    ///< real root: owners and devices as the layer says, `trusted.overlay.*`
  subuid,  ///< root of a user namespace with a range: owners as mapped, devices skipped and
           ///< counted, `user.overlay.*`
  single,  ///< root of a user namespace with one id: all owners become that id; else as subuid
};

struct ApplyOptions {
  IdMap id_map = IdMap::root;
  LayerLimits limits;
  /// Told now and then, on the calling thread, how many bytes of tar have been applied so far. May
  /// be empty.
  std::function<void(std::uint64_t uncompressed_bytes)> progress;
  std::stop_token stop;  ///< ends the work with Errc::cancelled
};

/// The layers beneath one that is applied in overlay form.
///
/// Most layers never need them: a layer that names its folders (as Docker,
/// BuildKit and umoci write them) can be applied before or beside its lower
/// layers. They are needed when an entry's parent folder is not in this layer
/// (is it a folder, a symlink like usr-merge's `lib`, nothing?), and when a hard
/// link's target is not.
struct LowerLayers {
  /// Called at most once, from the applying thread, at the first entry that
  /// needs it; may block until the lower layers are committed (the source is not read during that
  /// time). Returns their trees (LayerStore::path), the nearest below first, as in overlay's
  /// `lowerdir=`. Empty: there are none. An error ends the apply. Layers wait only for layers
  /// below, so that no circle can arise, provided that jobs are started from the bottom up where
  /// their number is limited.
  std::function<Result<std::vector<std::string>>()> wait;
};

struct AppliedLayer {
  Digest diff_id;           ///< SHA-256 of all bytes of the tar, those after its end included
  std::uint64_t bytes = 0;  ///< of the tar, uncompressed
  std::uint64_t entries = 0;
  bool used_lowers = false;           ///< what was made is right only upon these lower layers
  unsigned skipped_devices = 0;       ///< devices that this id map cannot hold; tell once an image
  std::vector<std::string> warnings;  ///< for people; bounded
};

/// Applies a layer into the empty folder `target_dir_fd` in overlay form: what
/// overlayfs takes as a lower folder. A whiteout becomes a char 0:0 device, an
/// opaque folder the xattr `*.overlay.opaque` = "y"; a folder that is only
/// implied gets the attributes it has below; a hard link to a file below copies
/// that file up first.
///
/// Nothing outside of the folder is written, whatever the layer says, and
/// nothing outside of it and the lower trees is read (R-INSIDE): symlinks are read
/// by us. Names that escape by ".." are refused.
///
/// Thread: one call per target; calls on different targets may run side by side. Inflating runs on
/// a thread of its own. On error the folder holds a part of the layer: throw it away.
///
/// @param compressed  gzip, zstd or plain tar; read to its end. Its verification (size, digest) is
/// the source's own affair.
/// @param media_type  checked against what the bytes are; "" = take what they are.
/// @return Errc::corrupt for damaged data, invalid_input for what is refused, no_space, cancelled,
/// unsupported. Spec: OCI image-spec, layer.md.
Result<AppliedLayer> apply_layer_overlay(ByteSource& compressed, std::string_view media_type,
                                         int target_dir_fd, const LowerLayers& lowers,
                                         const ApplyOptions& options);

/// Applies a layer upon the tree below `root_dir_fd` (`image unpack`): whiteouts
/// remove what lower layers put there, never an entry of the same layer.
/// Otherwise as above.
Result<AppliedLayer> apply_layer_flat(ByteSource& compressed, std::string_view media_type,
                                      int root_dir_fd, const ApplyOptions& options);

}  // namespace locald::oci
