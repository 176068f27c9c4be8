#pragma once
#include <string>
#include <string_view>

namespace locald::oci {

/// Spec: OCI image-spec, media-types.md; Docker's of image manifest version 2, schema 2.
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerManifestList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view kDockerLayerGzip =
    "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The annotation that names an image in index.json.
inline constexpr const char* kRefName = "org.opencontainers.image.ref.name";

bool is_manifest_type(std::string_view media_type) noexcept;
bool is_index_type(std::string_view media_type) noexcept;
bool is_config_type(std::string_view media_type) noexcept;
/// A file system layer that we can apply: tar, gzip or zstd, OCI's or Docker's,
/// the non-distributable ones too.
bool is_layer_type(std::string_view media_type) noexcept;

/// OCI's name of a layer's type, where it has Docker's.
std::string oci_layer_type(std::string_view media_type);

}  // namespace locald::oci
