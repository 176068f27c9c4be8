#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "oci/archive/byte_source.h"
#include "oci/ref/reference.h"
#include "oci/registry/registry_session.h"
#include "oci/spec/descriptor.h"

namespace locald::oci {

/// A manifest or index as the registry sent it.
struct FetchedDocument {
  std::string bytes;
  std::string content_type;
  Digest digest;  ///< of `bytes`: computed here, and checked against whatever was promised
};

/// Reads one repository of one registry, by the OCI distribution-spec (pull). Broken downloads go
/// on where they broke. Thread-safe.
class RegistryClient {
 public:
  using Options = RegistrySession::Options;
  RegistryClient(const ImageReference& reference, Options options);

  /// @param tag_or_digest  "7" or "sha256:…"
  /// @return Errc::not_found (no such tag), denied, corrupt (other bytes than the digest), …
  Result<FetchedDocument> manifest(const std::string& tag_or_digest);

  /// The blob's bytes from `offset` on; size and hash are the reader's to verify.
  Result<std::unique_ptr<ByteSource>> blob(const Descriptor& blob, std::uint64_t offset);

  const std::string& host() const noexcept { return session_.reference().registry; }

 private:
  RegistrySession session_;
};

}  // namespace locald::oci
