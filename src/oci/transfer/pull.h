#pragma once
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/layer_store.h"
#include "oci/ref/digest.h"
#include "oci/ref/pull_policy.h"
#include "oci/ref/reference.h"
#include "oci/registry/credentials.h"
#include "oci/store/image_store.h"

namespace locald::oci {

struct PullProgress {
  enum class Phase : std::uint8_t {
    resolving,    ///< asking what the name means; `note` says whom
    waiting,      ///< the registry told us to wait; `note` says why and how long
    downloading,  ///< done, total: compressed bytes of `layer`
    applying,     ///< done: uncompressed bytes of `layer` written; total 0 = unknown
    layer_done,   ///< `layer` is complete (or was there already)
    finished,     ///< the name is in the store
  };
  Phase phase = Phase::resolving;
  std::string layer;  ///< short digest of the layer's blob; empty where none is meant
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  unsigned layers_done = 0;
  unsigned layers_total = 0;
  std::string note;
};
std::string_view to_string(PullProgress::Phase phase) noexcept;  ///< "downloading", …

struct PullOptions {
  PullPolicy policy = PullPolicy::missing;
  ApplyOptions apply;  ///< id map and limits; its progress and stop are set by pull()
  /// Called from several threads, one at a time, at most some 20 times a second and layer.
  std::function<void(const PullProgress&)> progress;
  std::stop_token stop;
  /// The login for a registry ("docker.io", "localhost:5000"), if the user has one.
  std::function<std::optional<Credentials>(const std::string& registry)> credentials;
  std::string login_hint = {};  ///< what to tell a user without one (RegistrySession::Options)
  unsigned parallel_layers = 3;
};

struct PullResult {
  StoredImage image;
  bool contacted = false;  ///< somebody was asked (not so when all was there)
  std::uint64_t downloaded_bytes = 0;
  unsigned applied_layers = 0;
  unsigned skipped_devices = 0;
  std::vector<std::string> warnings;
};

/// Makes the image present: its documents and blobs in `store`, its layers in
/// `layers`, its name in the index. Each layer is downloaded, verified, inflated and applied in one
/// go, up to three side by side; memory does not grow with the image.
///
/// A blob gets its name only when size and hash are right, a layer only when its
/// diff id is the config's, the image only when all are there. A damaged or missing blob or layer
/// is fetched again. Two pulls at once, in two processes as well, share the work.
///
/// Runs threads of its own, and only between call and return: call it after joining the user
/// namespace.
/// @return Errc::cancelled, not_found (no such image), denied, unsupported (another
///         platform), corrupt, no_space, timed_out; whatever was complete stays for the next
///         attempt.
Result<PullResult> pull(const ImageReference& reference, ImageStore& store, LayerStore& layers,
                        const PullOptions& options);

struct UnpackResult {
  StoredImage image;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  unsigned skipped_devices = 0;
  std::vector<std::string> warnings;
};

/// Pulls (by `options.policy`) and writes the image's file system, flat, into
/// `dir`, which must be empty or new; on error what was written is removed again.
Result<UnpackResult> unpack(const ImageReference& reference, ImageStore& store, LayerStore& layers,
                            const std::string& dir, const PullOptions& options);

}  // namespace locald::oci
