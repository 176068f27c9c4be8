#include "oci/spec/media_type.h"

namespace locald::oci {

bool is_manifest_type(std::string_view media_type) noexcept {
  return media_type == kOciManifest || media_type == kDockerManifest;
}

bool is_index_type(std::string_view media_type) noexcept {
  return media_type == kOciIndex || media_type == kDockerManifestList;
}

bool is_config_type(std::string_view media_type) noexcept {
  return media_type == kOciConfig || media_type == kDockerConfig;
}

bool is_layer_type(std::string_view media_type) noexcept {
  for (const std::string_view known :
       {kOciLayer, kOciLayerGzip, kOciLayerZstd, kDockerLayer, kDockerLayerGzip,
        std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar"),
        std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
        std::string_view("application/vnd.docker.image.rootfs.diff.tar.zstd"),
        std::string_view("application/vnd.docker.image.rootfs.foreign.diff.tar"),
        std::string_view("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")})
    if (media_type == known) return true;
  return false;
}

std::string oci_layer_type(std::string_view media_type) {
  if (media_type == kDockerLayer) return std::string(kOciLayer);
  if (media_type == kDockerLayerGzip) return std::string(kOciLayerGzip);
  if (media_type == "application/vnd.docker.image.rootfs.diff.tar.zstd")
    return std::string(kOciLayerZstd);
  return std::string(media_type);
}

}  // namespace locald::oci
