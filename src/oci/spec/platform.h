#pragma once
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::oci {

struct Descriptor;

/// os/architecture/variant in Go's words ("linux", "amd64", "v8"). A value.
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;  ///< often empty

  static Platform host();
  static Result<Platform> from_json(const Json& object);
  Json to_json() const;
  std::string str() const;  ///< "linux/arm64/v8"

  friend bool operator==(const Platform&, const Platform&) = default;
};

/// How well an image for `image` runs on `host`: 0 not at all, more is better.
/// An arm host runs lower variants and an arm64 host its own variant alone;
/// amd64 levels (v2, v3) run where the host has them.
int platform_score(const Platform& image, const Platform& host);

/// The best entry of an index for `host`; the first among equals, as the peers
/// do. Entries without a platform and attestations ("unknown/unknown") are not images.
/// @return Errc::unsupported naming the platforms (E-ARCH).
Result<Descriptor> choose_platform(const std::vector<Descriptor>& manifests, const Platform& host);

}  // namespace locald::oci
