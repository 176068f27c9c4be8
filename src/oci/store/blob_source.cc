#include "oci/store/blob_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "oci/store/blob_verifier.h"

namespace locald::oci {
namespace {

constexpr std::size_t kChunkBytes = 256u << 10;

class FileSource final : public ByteSource {
 public:
  FileSource(UniqueFd fd, std::uint64_t max_bytes)
      : fd_(std::move(fd)), left_(max_bytes), buffer_(kChunkBytes) {}

  Result<std::span<const std::byte>> read() override {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, buffer_.size()));
    ssize_t n = 0;
    do {
      n = ::pread(fd_.get(), buffer_.data(), wanted, static_cast<off_t>(position_));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return Error::from_errno(errno, "read a blob");
    position_ += static_cast<std::uint64_t>(n);
    left_ -= static_cast<std::uint64_t>(n);
    return std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(n));
  }

 private:
  UniqueFd fd_;
  std::uint64_t position_ = 0;
  std::uint64_t left_;
  std::vector<std::byte> buffer_;
};

class VerifyingSource final : public ByteSource {
 public:
  VerifyingSource(std::unique_ptr<ByteSource> inner, const Descriptor& blob)
      : inner_(std::move(inner)), verifier_(blob) {}

  Result<std::span<const std::byte>> read() override {
    if (ended_) return std::span<const std::byte>();
    const auto chunk = TRY(inner_->read());
    if (chunk.empty()) {
      ended_ = true;
      TRY(std::move(verifier_).finish());
    } else {
      TRY(verifier_.update(chunk));
    }
    return chunk;
  }

 private:
  std::unique_ptr<ByteSource> inner_;
  BlobVerifier verifier_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> file_source(UniqueFd fd, std::uint64_t max_bytes) {
  return std::make_unique<FileSource>(std::move(fd), max_bytes);
}

std::unique_ptr<ByteSource> verified_source(std::unique_ptr<ByteSource> inner,
                                            const Descriptor& blob) {
  return std::make_unique<VerifyingSource>(std::move(inner), blob);
}

}  // namespace locald::oci
