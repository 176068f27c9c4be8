#include <cstdlib>

#include "oci/spec/image_config.h"
#include "oci/spec/manifest.h"

/// Property: a document is a manifest, an index or a config, never two of
/// them for two readings; what we write of it reads back the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::oci;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto document = parse_manifest(text)) {
    const auto raw = parse_image_json(text);
    if (raw->contains("layers") && raw->contains("manifests")) std::abort();
    if (const auto* image = std::get_if<ImageManifest>(&*document)) {
      auto again = parse_manifest(image->to_json().dump());
      if (!again || std::get<ImageManifest>(*again).layers != image->layers ||
          !(std::get<ImageManifest>(*again).config == image->config))
        std::abort();
    } else if (std::get<ImageIndex>(*document).manifests.size() > kMaxIndexEntries) {
      std::abort();
    } else {
      (void)choose_platform(std::get<ImageIndex>(*document).manifests, Platform::host());
    }
  }
  if (auto config = ImageConfig::parse(text)) {
    auto again = ImageConfig::parse(config->to_json().dump());
    if (!again || !(again->to_json() == config->to_json())) std::abort();
  }
  return 0;
}
