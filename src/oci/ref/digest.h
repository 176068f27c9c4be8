#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX; its headers stay in the .cc

namespace locald::oci {

/// A content digest, "sha256:" and 64 lower-case hex digits; nothing else is
/// accepted, so that a digest is always safe as a file name (CVE-2024-3727). A value: compared,
/// hashed, printed. Spec: OCI image-spec, descriptor.md#digests.
class Digest {
 public:
  /// @return Errc::invalid_input for any other text; Errc::unsupported for another algorithm.
  static Result<Digest> parse(std::string_view text);
  /// The SHA-256 of `bytes`.
  static Digest of(std::string_view bytes);
  static Digest from_raw(const std::array<unsigned char, 32>& raw);

  std::string str() const { return "sha256:" + hex_; }
  const std::string& hex() const noexcept { return hex_; }      ///< 64 digits: a file name
  std::string short_hex() const { return hex_.substr(0, 12); }  ///< for people

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

/// A SHA-256 over bytes that stream by. Memory O(1). Not thread-safe.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> chunk);
  /// The digest of all that was fed. One call only.
  Digest finish() &&;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* ctx) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> ctx_;
};

}  // namespace locald::oci
