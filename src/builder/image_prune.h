#pragma once
#include <cstdint>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "builder/environment.h"

namespace locald::builder {

struct PruneWishes {
  bool all = false;                           ///< images that nothing uses, too
  bool dry_run = false;                       ///< nothing is removed
  std::set<std::string> used = {};            ///< names of images that projects use; each stays
  std::vector<oci::Digest> used_layers = {};  ///< that others than images need
};

struct PrunedImages {
  std::vector<std::string> removed;  ///< names
  std::vector<std::string> kept;     ///< unused, but for `all`
  std::uint64_t freed_bytes = 0;     ///< of blobs, and of unpacked layers
  std::uint64_t blob_bytes = 0;      ///< of blobs alone
  std::size_t layers = 0;            ///< unpacked ones
};

/// Removes blobs and layers that no name leads to, and images that nothing uses. What a container
/// stands on stays, and so does what is being pulled. Thread-safe; blocks.
Result<PrunedImages> prune_images(Environment& environment, const PruneWishes& wishes,
                                  const std::stop_token& stop);

/// The images of the store that neither `used` nor a container needs.
Result<std::vector<oci::StoredImage>> unused_images(Environment& environment,
                                                    const std::set<std::string>& used);

}  // namespace locald::builder
