#include "oci/store/blob_verifier.h"

#include <string>
#include <utility>

namespace locald::oci {

Result<void> BlobVerifier::update(std::span<const std::byte> chunk) {
  // Subtract rather than add: seen_ + chunk.size() could wrap.
  if (chunk.size() > size_ - seen_)
    return Error(Errc::corrupt,
                 digest_.str() + ": more than the promised " + std::to_string(size_) + " bytes");
  seen_ += chunk.size();
  hash_.update(chunk);
  return {};
}

Result<void> BlobVerifier::finish() && {
  if (seen_ != size_)
    return Error(Errc::corrupt, digest_.str() + ": got " + std::to_string(seen_) + " of " +
                                    std::to_string(size_) + " bytes");
  if (const Digest got = std::move(hash_).finish(); got != digest_)
    return Error(Errc::corrupt, "the bytes are not what their name promises: want " +
                                    digest_.str() + ", got " + got.str());
  return {};
}

}  // namespace locald::oci
