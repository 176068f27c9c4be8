#pragma once
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "oci/spec/descriptor.h"

namespace locald::oci {

inline constexpr std::size_t kMaxManifestBytes = 4u << 20;  ///< manifest, index and config each
inline constexpr std::size_t kMaxIndexEntries = 1024;
inline constexpr std::size_t kMaxLayers = 512;

/// One image for one platform. Spec: OCI image-spec, manifest.md; Docker's schema 2 is read too.
struct ImageManifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  ///< base first; kinds of compression may be mixed
  std::map<std::string, std::string> annotations;

  /// For images of our own making; what was received is stored as received.
  Json to_json() const;
};

/// Several images under one name. Spec: OCI image-spec, image-index.md.
struct ImageIndex {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

using ManifestDocument = std::variant<ImageManifest, ImageIndex>;

/// Reads a manifest or an index, and refuses what two readers could take for
/// different things (CVE-2021-41190): both `manifests` and `layers` or `config`,
/// a mediaType other than `content_type`, members that are there twice or differ
/// in case only.
///
/// @param content_type  What the registry or the descriptor said; "" if unknown. Parameters (";…")
/// are ignored.
/// @return Errc::invalid_input, or Errc::unsupported for a schema-1 manifest, an artifact, an
/// unknown layer type.
Result<ManifestDocument> parse_manifest(std::string_view bytes, std::string_view content_type = {});

/// JSON as all documents of images are read: size and depth capped, duplicate
/// members refused. Under "annotations" and the like keys may differ in case only.
Result<Json> parse_image_json(std::string_view bytes);

}  // namespace locald::oci
