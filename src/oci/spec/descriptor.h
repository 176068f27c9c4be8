#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "oci/ref/digest.h"
#include "oci/spec/platform.h"

namespace locald::oci {

/// Names a blob: what it is, its hash, its size on the wire. A value.
/// Spec: OCI image-spec, descriptor.md.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;  ///< as stored and sent, that is, compressed
  std::map<std::string, std::string> annotations = {};
  std::optional<Platform> platform = std::nullopt;  ///< in an index only

  /// `urls` are dropped unread: no layer is ever fetched from elsewhere (CVE-2020-15157).
  /// @return Errc::invalid_input: a field missing, of another type, a negative size.
  static Result<Descriptor> from_json(const Json& object);
  Json to_json() const;

  /// An annotation, or "".
  std::string annotation(const std::string& key) const;

  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

}  // namespace locald::oci
