#include "oci/ref/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

#include "base/strings.h"

namespace locald::oci {
namespace {

constexpr std::size_t kHexDigits = 64;

/// SHA-256 cannot fail but for want of memory or a broken libcrypto: nothing to recover.
void must(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return Error(Errc::invalid_input, "not a digest: \"" + std::string(text.substr(0, 100)) +
                                          "\" (wanted sha256:<64 hex digits>)");
  const std::string_view algorithm = text.substr(0, colon);
  const std::string_view hex = text.substr(colon + 1);
  if (algorithm == "sha512" || algorithm == "blake3" || algorithm == "sha384")
    return Error(Errc::unsupported, "digest algorithm " + std::string(algorithm) +
                                        " is not supported, sha256 alone is");
  bool good = algorithm == "sha256" && hex.size() == kHexDigits;
  for (const char c : hex) good = good && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
  if (!good)
    return Error(Errc::invalid_input, "not a digest: \"" + std::string(text.substr(0, 100)) +
                                          "\" (wanted sha256:<64 hex digits>)");
  return Digest(std::string(hex));
}

Digest Digest::of(std::string_view bytes) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  return std::move(hash).finish();
}

Digest Digest::from_raw(const std::array<unsigned char, 32>& raw) {
  return Digest(to_hex(raw.data(), raw.size()));
}

void Sha256::Free::operator()(evp_md_ctx_st* ctx) const noexcept { EVP_MD_CTX_free(ctx); }

Sha256::Sha256() : ctx_(EVP_MD_CTX_new()) {
  must(ctx_ != nullptr && EVP_DigestInit_ex(ctx_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(std::span<const std::byte> chunk) {
  must(EVP_DigestUpdate(ctx_.get(), chunk.data(), chunk.size()) == 1);
}

Digest Sha256::finish() && {
  std::array<unsigned char, 32> raw{};
  must(EVP_DigestFinal_ex(ctx_.get(), raw.data(), nullptr) == 1);
  ctx_.reset();
  return Digest::from_raw(raw);
}

}  // namespace locald::oci
