#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "oci/ref/digest.h"
#include "oci/spec/descriptor.h"

namespace locald::oci {

/// Checks a blob against its descriptor while the bytes stream by.
///
/// Everything that came over the network passes through one of these before it
/// is given a name in the store:
///
///     BlobVerifier verifier(layer);
///     for (auto chunk = TRY(body.read()); !chunk.empty(); chunk = TRY(body.read())) {
///       TRY(verifier.update(chunk));
///       TRY(file.write(chunk));
///     }
///     TRY(std::move(verifier).finish());   // only now rename into the store
///
/// Spec: OCI image-spec, descriptor.md#verification: the size before the hash,
/// the hash before use. A body longer than promised is refused at the first
/// byte too many, so that a hostile server cannot fill the disk.
///
/// Memory: O(1). Not thread-safe; one object per download.
class BlobVerifier {
 public:
  /// @param expected  Copied. `size_bytes` counts the bytes on the wire.
  explicit BlobVerifier(const Descriptor& expected)
      : digest_(expected.digest), size_(expected.size_bytes) {}

  /// Feeds the next bytes, in order. An empty span is allowed.
  /// @return Errc::corrupt as soon as more than `size_bytes` have been fed.
  ///         After an error the object is of no further use.
  Result<void> update(std::span<const std::byte> chunk);

  /// Says whether the bytes fed were the blob.
  /// @return Errc::corrupt if too few bytes came or the hash differs; the message holds both
  /// values.
  Result<void> finish() &&;

  std::uint64_t bytes_seen() const noexcept { return seen_; }

 private:
  Digest digest_;
  std::uint64_t size_;
  std::uint64_t seen_ = 0;  // never above size_
  Sha256 hash_;
};

}  // namespace locald::oci
