#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/ref/reference.h"
#include "oci/spec/image_config.h"

namespace locald::cnb {

/// A version of the Platform or Buildpack API, "0.15". A value.
struct ApiVersion {
  unsigned major = 0, minor = 0;

  /// "MAJOR.MINOR" or "MAJOR". @return Errc::invalid_input.
  static Result<ApiVersion> parse(std::string_view text);
  std::string str() const;
  friend auto operator<=>(const ApiVersion&, const ApiVersion&) = default;
};

/// The Platform APIs that we speak, newest first: `-layout` came with 0.12
/// (lifecycle 0.17), which is the floor of a build without a daemon.
const std::vector<ApiVersion>& platform_apis();

/// One run image that a builder names, with the places where it is found too.
struct RunImage {
  std::string image;
  std::vector<std::string> mirrors;
  friend bool operator==(const RunImage&, const RunImage&) = default;
};

/// What a builder image says of itself: who builds in it, which lifecycle it has, on
/// what its apps run. A value.
/// Spec: CNB platform.md#build-image and #io.buildpacks.builder.metadata (pack's label).
struct BuilderInfo {
  std::uint32_t uid = 0, gid = 0;           ///< CNB_USER_ID and CNB_GROUP_ID; never root
  std::string lifecycle_version;            ///< "0.21.17"; for people and for the image's label
  ApiVersion platform_api;                  ///< the newest that both sides speak
  std::vector<std::string> buildpack_apis;  ///< that the lifecycle knows, as its label has them
  std::vector<RunImage> run_images;
  struct Buildpack {
    std::string id, version;
  };
  std::vector<Buildpack> buildpacks;

  /// @param name  Of the image, for messages.
  /// @return Errc::invalid_input: no builder, a broken one, a root build user;
  ///         Errc::unsupported: no Platform API in common (the lifecycle's code 11), image
  ///         extensions.
  static Result<BuilderInfo> from_image(const std::string& name, const oci::ImageConfig& config);

  /// The version of the buildpack `id` that the builder holds; "" where it has none or several.
  std::string version_of(const std::string& id) const;
};

/// The names under which the run image may be found, the best first: what the user asks for
/// alone; else the builder's first, a mirror on the builder's own registry before the rest.
/// @return Errc::invalid_input: nobody names one.
Result<std::vector<std::string>> run_image_candidates(const BuilderInfo& builder,
                                                      const oci::ImageReference& builder_reference,
                                                      const std::string& asked_for);

}  // namespace locald::cnb
