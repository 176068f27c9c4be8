#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/ref/digest.h"

namespace locald::oci {

/// Where an image comes from.
enum class Transport : std::uint8_t {
  docker,          ///< a registry; "docker://" or no prefix
  oci,             ///< oci:DIR[:NAME], an OCI image layout
  oci_archive,     ///< oci-archive:FILE[:NAME], the same in a tar
  docker_archive,  ///< docker-archive:FILE[:NAME], what `docker save` writes
};

/// The name of an image, as a person wrote it, made complete.
///
///     auto ref = TRY(ImageReference::parse("redis:7"));
///     ref.name();      // "docker.io/library/redis:7", the key in the store
///     ref.familiar();  // "redis:7"
///
/// Normalisation is Docker's (distribution/reference): a first part without a
/// dot, a colon and other than "localhost" is not a host; docker.io has "library/"
/// before a bare name; no tag and no digest means "latest". A value.
struct ImageReference {
  Transport transport = Transport::docker;

  // docker
  std::string registry;    ///< "docker.io", "localhost:5000", "[::1]:5000"
  std::string repository;  ///< "library/redis"
  std::string tag;  ///< "7"; empty when only a digest was given; of the others: the name inside
  std::optional<Digest> digest;  ///< if given it decides, whatever the tag says

  // the others
  std::string path;  ///< folder or file; absolute when `base_dir` was

  /// @param base_dir  Where relative paths of the file transports start; empty leaves them as they
  /// are.
  /// @return Errc::invalid_input with what is wrong and where.
  static Result<ImageReference> parse(std::string_view text, const std::string& base_dir = {});

  /// The complete text, unique per image: "docker.io/library/redis:7",
  /// "docker.io/library/redis@sha256:…", "oci:/dir:name". Parses to an equal value.
  std::string name() const;
  /// The same without what is understood: "redis:7", "ghcr.io/a/b:latest".
  std::string familiar() const;

  bool is_registry() const noexcept { return transport == Transport::docker; }

  friend bool operator==(const ImageReference&, const ImageReference&) = default;
};

}  // namespace locald::oci
