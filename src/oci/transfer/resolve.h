#pragma once
#include <optional>
#include <string>

#include "base/result.h"
#include "oci/spec/image_config.h"
#include "oci/spec/manifest.h"
#include "oci/store/image_layout.h"
#include "oci/store/image_store.h"
#include "oci/transfer/image_origin.h"

namespace locald::oci {

/// What a reference means on this host: documents verified, blobs still wherever they are.
struct ResolvedImage {
  Descriptor manifest_descriptor;
  ImageManifest manifest;
  ImageConfig config;
  std::string manifest_bytes;  ///< as received
  std::string config_bytes;
  std::optional<Digest> index_digest;  ///< of the outermost index, where there was one
  std::uint64_t downloaded_bytes = 0;
};

/// Asks `origin`; index → this platform's manifest (at most 4 deep, never twice
/// the same) → config, taken from `local` where it is there.
/// @return Errc::unsupported for another platform (E-ARCH), corrupt where bytes are not what their
/// digest says.
Result<ResolvedImage> resolve(ImageOrigin& origin, const ImageLayout& local);

/// The same from the store alone.
Result<ResolvedImage> resolve_stored(const StoredImage& image, const ImageLayout& local);

}  // namespace locald::oci
